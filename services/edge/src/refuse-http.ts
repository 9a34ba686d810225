/**
 * HTTP inside the TLS of port 7000. frps opens a WebSocket listener of its own for connections that begin with a GET
 * (DESIGN.md §1: nobody reaches it).
 */
const httpStart = Buffer.from("GET ");

/** Judges the bytes of one client: the first ones wait until they can be told apart from HTTP; nothing of a GET is passed. */
export function refuseHttp(refuse: () => void): (chunk: Buffer) => Buffer | undefined {
  let waiting: Buffer | undefined = Buffer.alloc(0);
  return (chunk) => {
    if (waiting === undefined) return chunk;
    const start: Buffer = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    const compared = Math.min(start.length, httpStart.length);
    if (!start.subarray(0, compared).equals(httpStart.subarray(0, compared))) {
      waiting = undefined;
      return start;
    }
    waiting = start;
    if (compared === httpStart.length) refuse();
    return undefined;
  };
}
