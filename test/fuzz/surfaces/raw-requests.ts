/** HTTP that is nearly right, or not at all: what no client library would send. */
import type { Prng } from "../../chaos/prng.ts";
import { mutateBytes, randomBytesOf } from "../mutate.ts";

/** What the request would be if nothing was wrong with it. */
export type RawTemplate = { readonly path: string; readonly authorization: string; readonly message: () => string };

/** Draws the bytes of a connection: one request, several, or none. */
export function drawRawRequest(prng: Prng, template: RawTemplate): Uint8Array {
  if (prng.chance(0.1)) return randomBytesOf(prng, prng.pick([0, 1, 16, 300, 5000]));
  const whole = Buffer.concat(Array.from({ length: prng.pick([1, 1, 1, 2, 5]) }, () => drawOne(prng, template)));
  return prng.chance(0.5) ? whole : mutateBytes(whole, prng);
}

function drawOne(prng: Prng, { path, authorization, message }: RawTemplate): Buffer {
  const body = message();
  const odd = prng.chance(0.6)
    ? []
    : [
        prng.pick([
          "Transfer-Encoding: chunked",
          "Transfer-Encoding: gzip, chunked",
          "Transfer-Encoding: identity",
          "Content-Length: 5",
          "Content-Length: -1",
          "Content-Length: 99999999999999999999",
          "Expect: 100-continue",
          "Expect: x",
          "Host: other",
          "Content-Encoding: gzip",
          " folded: x",
          "no-colon",
          "X-Forwarded-For: 1.2.3.4",
          "x-frp-reqid: a\tb",
          `x-long: ${"y".repeat(20_000)}`,
          "Upgrade: websocket",
          "Connection: upgrade, close",
        ]),
      ];
  const lines = [
    `${prng.pick(["POST", "POST", "POST", "GET", "PRI", "CONNECT", "post", "TRACE"])} ${prng.pick([path, path, path, "*", "//", "http://x/", "/%", "/\u0001", `/${"a".repeat(9000)}`])} HTTP/${prng.pick(["1.1", "1.1", "1.1", "1.0", "2.0", "0.9"])}`,
    ...(prng.chance(0.95) ? ["Host: localhost"] : []),
    `Authorization: ${authorization}`,
    "Content-Type: application/json",
    ...(prng.chance(0.95) ? [`Content-Length: ${Buffer.byteLength(body)}`] : []),
    ...odd,
  ];
  return Buffer.from(`${lines.join(prng.chance(0.98) ? "\r\n" : "\n")}\r\n\r\n${body}`);
}
