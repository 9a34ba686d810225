/**
 * A request for a token past the framework, which would cost it more than all of our own checks: the plain one, as every
 * client sends it. What is unusual in any way (a query, a body in drops of unknown length, an odd Host) goes through Hono
 * and its adapter, and is answered by the same code.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ProofContext, TokenEnv } from "./endpoint.ts";

/** A Host that every reader of URLs takes for what it is. */
const plainHost = /^[A-Za-z0-9.-]{1,253}(?::[0-9]{1,4})?$/;

/** What is left of a refused body is thrown away for so long, in ms; then the connection ends. As the adapter does it. */
const drainMs = 500;

/** True for a POST to exactly this path, with a body of a known length that may be read. */
export function isPlainPost(incoming: IncomingMessage, path: string, bodyLimitBytes: number): boolean {
  if (incoming.method !== "POST" || incoming.url !== path) return false;
  const { host, "content-length": length } = incoming.headers;
  return length !== undefined && Number(length) <= bodyLimitBytes && host !== undefined && plainHost.test(host);
}

/** The request as the endpoints that take proofs see it. */
export function createDirectContext(incoming: IncomingMessage, outgoing: ServerResponse): ProofContext {
  outgoing.once("close", () => drain(incoming));
  return new DirectContext(incoming, outgoing);
}

class DirectContext implements ProofContext {
  readonly env: ProofContext["env"];
  readonly req: ProofContext["req"];
  readonly #variables: { [Key in keyof TokenEnv["Variables"]]: TokenEnv["Variables"][Key] | undefined } = {
    requestId: undefined,
    refusalCode: undefined,
    provedLabel: undefined,
    limitHeaders: undefined,
  };

  constructor(incoming: IncomingMessage, outgoing: ServerResponse) {
    this.env = { incoming, outgoing };
    this.req = { url: incoming.url ?? "", raw: { body: null }, header: (name) => findHeader(incoming.rawHeaders, name) };
  }

  get<Key extends keyof TokenEnv["Variables"]>(key: Key): TokenEnv["Variables"][Key] {
    return this.#variables[key] as TokenEnv["Variables"][Key];
  }

  set<Key extends keyof TokenEnv["Variables"]>(key: Key, value: TokenEnv["Variables"][Key]): void {
    this.#variables[key] = value;
  }
}

/** A header by its name in lower case, every line of it: Node keeps the first of some names, and two are not one. */
function findHeader(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const text = rawHeaders[index] as string;
    if (text.length !== name.length || text.toLowerCase() !== name) continue;
    const value = rawHeaders[index + 1] as string;
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

function drain(incoming: IncomingMessage): void {
  if (incoming.readableEnded || incoming.destroyed) return;
  const timer = setTimeout(() => incoming.socket.destroySoon(), drainMs).unref();
  incoming.once("end", () => clearTimeout(timer)).resume();
}
