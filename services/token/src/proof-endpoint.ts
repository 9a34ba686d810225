/**
 * What the endpoints that take proofs have in common, and its order, which is security: what costs us nothing comes before
 * what costs us a signature check, and everything that can be refused comes before the proof is spent.
 *
 *   place free · address prefix · its wrong signatures · query, headers, body, form of the proof · signature · identity
 */
import { grant, type ProofPurpose, type RefusalCode, type Verdict } from "@keyhole/core";
import type { EndpointDeps, ProofContext, ProofHandler } from "./endpoint.ts";
import { checkFields, type Proven, parseProofRequest, prove } from "./proof-request.ts";
import { type BodySource, type RequestBody, readJsonObject } from "./request-body.ts";

/** The most that a body may have. */
export const bodyLimitBytes = 4096;
const defaultBodyTimeoutMs = 10_000;

/** Refusals that cost a signature check: guesses, and attempts to keep us busy. What has no form of a proof costs nothing. */
const failures: ReadonlySet<RefusalCode> = new Set(["SIGNATURE_INVALID", "SIGNER_MISMATCH"]);

/** What an endpoint does for a proof. `Head` is what it reads of query and headers, `Wish` what of the body as well. */
export type ProofService<Head, Wish> = {
  readonly purpose: ProofPurpose;
  parseHead(c: ProofContext): Verdict<Head>;
  parseWish(head: Head, fields: RequestBody["fields"]): Verdict<Wish>;
  /** Spends the proof. `body` is what was sent, byte by byte. What became of the proof is told to `count` before anything is answered. */
  serve(
    c: ProofContext,
    proven: Proven & { readonly now: Date; readonly body: Uint8Array; readonly count: (outcome: "done" | "replayed") => void },
    wish: Wish,
  ): Promise<Response>;
};

/** Makes the handler of such an endpoint. */
export function createProofEndpoint<Head, Wish>(deps: EndpointDeps, service: ProofService<Head, Wish>): ProofHandler {
  const { limits, settings } = deps;
  const { purpose } = service;

  /** Everything that can be said before the signature is looked at. */
  async function read(c: ProofContext) {
    const head = service.parseHead(c);
    if (!head.granted) return head;
    const authorization = c.req.header("authorization");
    const mayBeEmpty = authorization !== undefined;
    const timeoutMs = settings.bodyTimeoutMs ?? defaultBodyTimeoutMs;
    const body = await readJsonObject(bodySourceOf(c), { limitBytes: bodyLimitBytes, timeoutMs, mayBeEmpty });
    if (!body.granted) return body;
    const { fields, bytes } = body.value;
    const known = checkFields(fields, purpose);
    if (!known.granted) return known;
    const wish = service.parseWish(head.value, fields);
    if (!wish.granted) return wish;
    const now = deps.now();
    const { timestampWindowSeconds } = settings;
    const proof = parseProofRequest({ fields, authorization }, { purpose, timestampWindowSeconds, now });
    return proof.granted ? grant({ proof: proof.value, wish: wish.value, body: bytes, now }) : proof;
  }

  return async (c) => {
    const limited = limits.begin(deps.readAddressPrefix(c), purpose);
    c.set("limitHeaders", () => limited.headers());
    const stop = limited.enter(deps.now());
    if (stop !== undefined) return deps.refuse(c, stop);
    const request = await read(c);
    if (!request.granted) return deps.refuse(c, request.refusal);
    // A body that comes in drops holds no place: it is read before one is taken.
    if (limits.isFull()) return deps.refuse(c, { code: "BUSY" });
    return limits.work(async () => {
      const { proof, wish, body, now } = request.value;
      const proven = prove(proof, purpose, deps);
      if (!proven.granted) {
        if (failures.has(proven.refusal.code)) limited.countFailure(now);
        return deps.refuse(c, proven.refusal);
      }
      const { label } = proven.value;
      c.set("provedLabel", label);
      const tooMany = limited.enterIdentity(label, now);
      if (tooMany !== undefined) return deps.refuse(c, tooMany);
      // Whoever has seen a proof can send it again: that is nobody's share but his own.
      const count = (outcome: "done" | "replayed"): void =>
        outcome === "done" ? limited.countIdentity(label, now) : limited.countFailure(now);
      return service.serve(c, { ...proven.value, now, body, count }, wish);
    });
  };
}

/** The body as Node's own stream on a listener. Without a port there is none, and the request's stream costs nothing that matters. */
function bodySourceOf(c: ProofContext): BodySource {
  return { header: (name) => c.req.header(name), incoming: c.env?.incoming, stream: () => c.req.raw.body };
}
