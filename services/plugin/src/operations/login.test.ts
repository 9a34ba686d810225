import { grant, type Label, mintTunnelToken, publicKeyOfSeed, type RefusalCode, refuse, signEd25519, type Verdict } from "@keyhole/core";
import { deriveLoginKey, type HookAnswer, type LoginContent } from "@keyhole/frp";
import { describe, expect, it } from "vitest";
import { createLoginLimits } from "../login-limits.ts";
import { createPluginRecorder } from "../plugin-figures.ts";
import { createRefusalAnswers } from "../refusal-answers.ts";
import type { LoginAttempt } from "../session-authority.ts";
import type { Session } from "../session-registry.ts";
import { createLogin, type LoginDeps } from "./login.ts";

const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const now = new Date("2026-11-22T12:00:00Z");
const key = { id: "1", secret: new Uint8Array(32).fill(9) };
const jwtKey = { id: "1700000000000-0123abcd", seed: new Uint8Array(32).fill(11) };
const token = mintTunnelToken({ label, issuedAt: now }, key);
const timestamp = 1795309034;
const session = { id: "session-1", label, ticket: "t".repeat(63), generation: 7 } as Session;

/** A Login of stock frpc with a good token. */
function loginOf(fields: Partial<LoginContent> = {}, raw: Record<string, unknown> = {}): LoginContent {
  const content = {
    privilegeKey: deriveLoginKey("", timestamp),
    timestamp,
    runId: "",
    user: "",
    metas: { token },
    poolCount: 1,
    clientAddress: "127.0.0.1:40000",
    version: "0.71.0",
    clientSpecType: "",
    ...fields,
  };
  return {
    ...content,
    raw: { version: content.version, hostname: "vm", os: "linux", arch: "amd64", timestamp, metas: content.metas, ...raw },
  };
}

/** The operation alone, with an authority that admits whoever gets there. */
function startOperation(options: {
  readonly maxInFlight?: number;
  readonly isAdopted?: boolean;
  readonly isKick?: boolean;
  readonly answer?: () => Promise<Verdict<Session>>;
  readonly connectionOf?: LoginDeps["connectionOf"];
}) {
  const lines: string[] = [];
  const attempts: LoginAttempt[] = [];
  const write = (fields: object, message: string) => void lines.push(JSON.stringify({ ...fields, message }));
  const refusals = createRefusalAnswers();
  const recorder = createPluginRecorder(() => 0);
  const answer = createLogin({
    adoption: {
      isDone: options.isAdopted === undefined,
      adopt: async () => {},
      awaitLabel: async () => options.isAdopted === true,
    },
    authority: {
      roundOf: () => 0,
      admit: async (attempt: LoginAttempt) => {
        attempts.push(attempt);
        return await (options.answer ?? (async () => grant(session)))();
      },
    } as unknown as LoginDeps["authority"],
    kicks: { kick: async () => {}, take: () => options.isKick === true },
    credentials: {
      tokenKeys: () => ({ keys: [key] }),
      verifyKeys: () => [{ id: jwtKey.id, publicKey: publicKeyOfSeed(jwtKey.seed) }],
      domain: "example",
      stellarAddress: () => undefined,
      audience: "https://tunnel.vana.org",
      now: () => now,
    },
    proof: {
      limits: createLoginLimits(
        { loginsPerIdentityPerMinute: 2, proxiesPerIdentityPerMinute: 2, loginsInFlight: 9, failedProofsPerMinute: 2 },
        () => now,
      ),
      gateway: undefined,
      requireRegistration: false,
      recorder,
    },
    recorder,
    maxInFlight: options.maxInFlight ?? 10,
    connectionOf: options.connectionOf ?? (async (address) => ({ id: `id of ${address}`, source: "203.0.113.9:5000" })),
    refusals,
    log: { debug: write, info: write, warn: write, error: write },
  });
  return {
    answer: (login: LoginContent) => answer(login, { requestId: "request-1", frpRequestId: "frp-1" }, () => 850),
    lines,
    attempts,
    refusals,
    starts: () => Object.fromEntries(recorder.read().starts),
  };
}
const codeOf = (answer: HookAnswer): string => (answer.kind === "refuse" ? (answer.reason.split(":")[0] ?? "") : answer.kind);

describe("a login that is admitted", () => {
  it("1: is rewritten: what frps is to believe, and nothing secret of the client's", async () => {
    const operation = startOperation({});
    const answer = await operation.answer(
      loginOf({ poolCount: 1e9 }, { client_id: "x", hostname: "a\nb", os: "o".repeat(65), arch: 7, extra: 1 }),
    );
    expect(answer).toEqual({
      kind: "replace",
      content: {
        version: "0.71.0",
        hostname: "",
        os: "",
        arch: "",
        timestamp,
        extra: 1,
        user: label,
        run_id: session.ticket,
        client_id: "",
        client_spec: {},
        pool_count: 5,
        metas: { session: "session-1" },
        privilege_key: deriveLoginKey("", timestamp),
      },
    });
    expect(operation.attempts[0]).toMatchObject({ credential: { label, kind: "hmac", issuedAt: now }, runId: "" });
    expect(await operation.attempts[0]?.connection).toEqual({
      id: "id of 127.0.0.1:40000",
      source: "203.0.113.9:5000",
      failure: undefined,
      retryAfterSeconds: undefined,
    });
    expect(operation.lines.map((line) => JSON.parse(line))).toEqual([
      {
        event: "login.admitted",
        label,
        session: "session-1",
        generation: 7,
        requestId: "request-1",
        frpRequestId: "frp-1",
        source: "203.0.113.9:5000",
        isResumed: false,
        message: "login admitted",
      },
    ]);
    expect(operation.lines.join()).not.toContain(token);
  });

  it("keeps its pool as far as frps allows, and what it says of itself as far as it is printable", async () => {
    const operation = startOperation({});
    const answer = await operation.answer(loginOf({ poolCount: 3 }, { hostname: "h".repeat(64) }));
    expect(answer).toMatchObject({ content: { pool_count: 3, hostname: "h".repeat(64), os: "linux", arch: "amd64" } });
    expect(operation.lines.join()).toContain('"isResumed":false');
    await operation.answer(loginOf({ runId: session.ticket }));
    expect(operation.lines.join()).toContain('"isResumed":true');
  });

  it("9: leaves frps the login key of an empty token where its own was a credential", async () => {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const issued = now.getTime() / 1000;
    const signed = [
      { alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: jwtKey.id },
      { iss: "example", aud: "example", sub: label, subdomain: label, iat: issued, exp: issued + 60 },
    ]
      .map(encode)
      .join(".");
    const jwt = `${signed}.${Buffer.from(signEd25519(Buffer.from(signed), jwtKey.seed)).toString("base64url")}`;
    const answer = await startOperation({}).answer(loginOf({ privilegeKey: jwt, metas: {} }));
    expect(answer).toMatchObject({ content: { privilege_key: deriveLoginKey("", timestamp) } });
    expect(JSON.stringify(answer)).not.toContain(jwt);
  });

  it.each(["0.58.0", "v0.58.0", "0.100.0", "0.58.10", "1.0.0", "12.3.4", "0.71.0-rc.1", "0.71.0+build_5"])(
    "may be of a client of version %s",
    async (version) => {
      expect(codeOf(await startOperation({}).answer(loginOf({ version })))).toBe("replace");
    },
  );

  it("may ask for no connections ahead", async () => {
    expect(await startOperation({}).answer(loginOf({ poolCount: 0 }))).toMatchObject({ content: { pool_count: 0 } });
  });
});

describe("a login that is refused", () => {
  it.each<[string, Partial<LoginContent>, RefusalCode]>([
    ["of an old client", { version: "0.57.99" }, "CLIENT_TOO_OLD"],
    ["of a client that counts in words", { version: "0.58.x" }, "CLIENT_TOO_OLD"],
    ["of a client without a version", { version: "" }, "CLIENT_TOO_OLD"],
    ["of a client whose version has something before it", { version: "frpc 0.71.0" }, "CLIENT_TOO_OLD"],
    ["of a client whose version has something behind it", { version: "0.71.0 or so" }, "CLIENT_TOO_OLD"],
    ["of a client whose version is a number too long", { version: "1234567.0.0" }, "CLIENT_TOO_OLD"],
    ["with a negative pool", { poolCount: -1 }, "POOL_COUNT"],
    ["without a credential", { metas: {} }, "CREDENTIAL_MISSING"],
    ["with a token in auth.token", { privilegeKey: "0".repeat(32) }, "CREDENTIAL_IN_AUTH_TOKEN"],
    ["under another user", { user: "somebody" }, "USER_MISMATCH"],
    ["with a forged token", { metas: { token: `${token.slice(0, -1)}${token.endsWith("0") ? 1 : 0}` } }, "TOKEN_SIGNATURE"],
  ])("13: %s says so, and is never judged", async (_what, fields, code) => {
    const operation = startOperation({});
    const answer = await operation.answer(loginOf(fields));
    expect([codeOf(answer), operation.attempts, operation.refusals.counts.get(code)]).toEqual([code, [], 1]);
    expect(JSON.parse(operation.lines.at(-1) ?? "")).toMatchObject({
      event: "login.refused",
      code,
      requestId: "request-1",
      frpRequestId: "frp-1",
    });
  });

  it("says what the authority said, with its facts, and to whom the log belongs", async () => {
    const operation = startOperation({ answer: async () => refuse("HANDOVER_PENDING", { seconds: 3, text: "x".repeat(61) }) });
    const answer = await operation.answer(loginOf());
    expect(answer).toEqual({ kind: "refuse", reason: expect.stringMatching(/^HANDOVER_PENDING: .* \(seconds: 3\)$/) });
    expect(operation.lines.join()).toContain(label);
  });

  it("waits until it is known who is served, and not for ever", async () => {
    expect(codeOf(await startOperation({ isAdopted: false }).answer(loginOf()))).toBe("STARTING_UP");
    expect(codeOf(await startOperation({ isAdopted: true }).answer(loginOf()))).toBe("replace");
  });

  it("is refused after as many of its credential as there may be", async () => {
    const operation = startOperation({});
    const codes = [1, 2, 3].map(async () => codeOf(await operation.answer(loginOf())));
    expect(await Promise.all(codes)).toEqual(["replace", "replace", "RATE_LIMITED"]);
  });

  it("hands on what the edge says of its connection, and logs that it could not be asked", async () => {
    const found: unknown[] = [];
    const warned: string[] = [];
    for (const connectionOf of [
      async () => undefined,
      () => Promise.reject(new Error("away")),
      async () => ({ id: "1", source: "s", retryAfterSeconds: 4 }),
    ] as LoginDeps["connectionOf"][]) {
      const operation = startOperation({ connectionOf });
      await operation.answer(loginOf());
      found.push(await operation.attempts[0]?.connection);
      warned.push(...operation.lines.filter((line) => line.includes('"cause"')).map((line) => JSON.parse(line).cause));
    }
    expect(warned).toEqual(["Error: away"]);
    expect(found).toEqual([
      { id: undefined, source: undefined, failure: "CLIENT_GONE", retryAfterSeconds: undefined },
      { id: undefined, source: undefined, failure: "EDGE_SILENT", retryAfterSeconds: undefined },
      { id: "1", source: "s", failure: undefined, retryAfterSeconds: 4 },
    ]);
  });
});

describe("a kick", () => {
  it("2: is let through before everything else, and counts for nothing", async () => {
    const operation = startOperation({ isKick: true, maxInFlight: 0 });
    expect(await operation.answer(loginOf({ metas: {}, version: "", poolCount: -1 }))).toEqual({ kind: "keep" });
    expect([operation.attempts, operation.lines]).toEqual([[], []]);
  });
});

describe("logins at once", () => {
  it("4: above the limit are refused, and let in again when one is over, however it ended", async () => {
    const { promise, reject } = Promise.withResolvers<Verdict<Session>>();
    const operation = startOperation({ maxInFlight: 1, answer: () => promise });
    const both = Promise.allSettled([operation.answer(loginOf()), operation.answer(loginOf())]);
    reject(new Error("the store is gone"));
    const [first, second] = await both;
    expect(first).toEqual({ status: "rejected", reason: new Error("the store is gone") });
    expect(second.status === "fulfilled" && codeOf(second.value)).toBe("BUSY");
    await expect(operation.answer(loginOf())).rejects.toThrow("the store is gone");
  });
});

describe("what is counted", () => {
  it("a start says which kind of credential it was, whether its ticket came with it, and how it ended", async () => {
    const operation = startOperation({});
    await operation.answer(loginOf());
    await operation.answer(loginOf({ runId: session.ticket }));
    await operation.answer(loginOf({ metas: {} }));
    await operation.answer(loginOf({ version: "0.57.0" }));
    await operation.answer(loginOf({ metas: { token: `${token.slice(0, -1)}x` } }));
    expect(operation.starts()).toEqual({
      "hmac new admitted": 1,
      "hmac resumed admitted": 1,
      "none new refused": 2,
      "hmac new refused": 1,
    });
  });
});
