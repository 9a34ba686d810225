/** Who may log in with what, where: every kind of credential in every place, and the messages that real clients sent. */
import { readFileSync } from "node:fs";
import type { Label } from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ClaimMetas,
  makeClaim,
  makeEvmHolder,
  makeHmacToken,
  makeStellarHolder,
  makeStellarJwt,
  makeTunnelJwt,
} from "../support/credentials.ts";
import { startGatewayStandIn } from "../support/gateway-stand-in.ts";
import {
  admitted,
  type BenchClient,
  codeOf,
  domain,
  type HookBench,
  type HookReply,
  jwtKey,
  loginContent,
  showOnDashboard,
  startHookBench,
  stellarServer,
} from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const wallet = makeEvmHolder();
const account = makeStellarHolder();
const label = wallet.label as Label;
const timestamp = 1795309034;
const nowSeconds = (): number => Math.floor(bench.now.getTime() / 1000);
const after = (seconds: number): void => {
  bench.now = new Date(bench.now.getTime() + seconds * 1000);
};

const hmac = (age = 0): string => makeHmacToken({ label, issuedAt: nowSeconds() - age, secret: Buffer.alloc(32, 9) });
const tunnelJwt = (age = 0): string => {
  const issuedAt = nowSeconds() - age;
  return makeTunnelJwt({ label, issuedAt, endsAt: issuedAt + 3600, domain }, jwtKey);
};
const stellarJwt = (age = 0): string =>
  makeStellarJwt(account, stellarServer, { payload: { iat: nowSeconds() - age, exp: nowSeconds() - age + 600 } });
const claimOf = (age = 0, metas: Partial<ClaimMetas> = {}): Promise<ClaimMetas> =>
  makeClaim(wallet, { claim: { iat: nowSeconds() - age, exp: nowSeconds() - age + 300 }, metas });

type Fields = Record<string, unknown>;
const logIn = (fields: Fields): Promise<HookReply> => bench.call("Login", loginContent(fields));
/** Logs in as a client that goes on. */
async function clientOf(fields: Fields): Promise<BenchClient> {
  const { content } = (await logIn(fields)).body;
  const user = content as { user: string; run_id: string; metas: Record<string, string> };
  expect(content).toBeDefined();
  return { label: user.user as Label, ticket: user.run_id, user: { user: user.user, metas: user.metas, run_id: user.run_id } };
}

/** Each kind in its place. */
const good: Readonly<Record<string, (age?: number) => Fields | Promise<Fields>>> = {
  "an HMAC token in metadatas.token": (age) => ({ metas: { token: hmac(age) } }),
  "a tunnel JWT in metadatas.token": (age) => ({ metas: { token: tunnelJwt(age) } }),
  "a tunnel JWT in privilege_key": (age) => ({ privilege_key: tunnelJwt(age) }),
  "a Vana claim in its five metadatas": async (age) => ({ metas: await claimOf(age) }),
  "a Stellar JWT in metadatas.jwt": (age) => ({ metas: { jwt: stellarJwt(age) } }),
};
const kinds = Object.keys(good);
const present = async (kind: string, age = 0): Promise<Fields> => (await good[kind]?.(age)) ?? {};

describe.each(kinds)("%s", (kind) => {
  it("1: is admitted for its own label, and frps is given the login key of an empty token", async () => {
    const { body, text } = await logIn(await present(kind));
    const owner = kind.includes("Stellar") ? account.label : label;
    expect(body).toMatchObject({ reject: false, content: { user: owner, privilege_key: deriveLoginKey("", timestamp), timestamp } });
    expect(Object.keys(body.content?.["metas"] as object)).toEqual(["session"]);
    expect(text).not.toMatch(/eyJ|frp_/);
  });

  it("1: is refused under another user", async () => {
    expect(codeOf(await logIn({ ...(await present(kind)), user: "0x0000000000000000000000000000000000000abc" }))).toBe("USER_MISMATCH");
  });

  it("displaces the client before it, and is displaced by the next", async () => {
    const first = await clientOf(await present(kind));
    expect(codeOf(await bench.newProxy(first))).toBe("admitted");
    after(1);
    const second = await clientOf(await present(kind));
    expect(bench.kicked).toEqual([first.ticket]);
    expect(codeOf(await bench.newProxy(second))).toBe("admitted");
    expect(codeOf(await bench.newProxy(first))).not.toBe("admitted");
  });

  it("2: of an older time does not push out a newer one", async () => {
    await clientOf(await present(kind));
    expect(codeOf(await logIn(await present(kind, 30)))).toMatch(/^(NEWER_CREDENTIAL_IN_USE|CREDENTIAL_OUTDATED)$/);
  });

  it("6: of before its label's not-before is refused", async () => {
    const fields = await present(kind);
    await bench.revoke((kind.includes("Stellar") ? account.label : label) as Label);
    expect(codeOf(await logIn(fields))).toBe("TOKEN_REVOKED");
  });

  it("beside any other is refused, whichever it is", async () => {
    for (const other of kinds.filter((name) => name !== kind)) {
      const [mine, theirs] = [await present(kind), await present(other)];
      const metas = { ...(mine["metas"] as object), ...(theirs["metas"] as object) };
      // Two of one place cannot come together.
      if (Object.keys(metas).length < Object.keys({ ...(mine["metas"] ?? {}) }).length + Object.keys({ ...(theirs["metas"] ?? {}) }).length)
        continue;
      expect([other, codeOf(await logIn({ ...mine, ...theirs, metas }))]).toEqual([other, "CREDENTIAL_TWICE"]);
    }
  });
});

describe("a credential in another's place", () => {
  it.each([
    ["an HMAC token in privilege_key", () => ({ privilege_key: hmac() })],
    ["an HMAC token in metadatas.jwt", () => ({ metas: { jwt: hmac() } })],
    ["an HMAC token in metadatas.auth_claim", () => ({ metas: { auth_claim: hmac() } })],
    ["a tunnel JWT in metadatas.jwt", () => ({ metas: { jwt: tunnelJwt() } })],
    ["a tunnel JWT in metadatas.auth_claim", () => ({ metas: { auth_claim: tunnelJwt() } })],
    ["a Stellar JWT in metadatas.token", () => ({ metas: { token: stellarJwt() } })],
    ["a Stellar JWT in privilege_key", () => ({ privilege_key: stellarJwt() })],
    ["a Stellar JWT in metadatas.auth_claim", () => ({ metas: { auth_claim: stellarJwt() } })],
    ["a claim in metadatas.token", async () => ({ metas: { token: (await claimOf()).auth_claim } })],
    ["a claim in metadatas.jwt", async () => ({ metas: { jwt: (await claimOf()).auth_claim } })],
    ["a claim in privilege_key", async () => ({ privilege_key: (await claimOf()).auth_claim })],
  ])("13: %s is told so", async (_what, fields) => {
    expect(codeOf(await logIn(await fields()))).toBe("CREDENTIAL_MISPLACED");
  });

  it.each([
    ["frp's own key of a token", { privilege_key: deriveLoginKey("frp_abc", timestamp) }, "CREDENTIAL_IN_AUTH_TOKEN"],
    ["the same in capitals", { privilege_key: "0123456789ABCDEF0123456789ABCDEF" }, "CREDENTIAL_IN_AUTH_TOKEN"],
    ["frp's own key of an empty token at another time", { privilege_key: deriveLoginKey("", 1) }, "CREDENTIAL_IN_AUTH_TOKEN"],
    ["no key at all", { privilege_key: "" }, "CREDENTIAL_MISSING"],
    ["a token-source file of something else", { privilege_key: "hunter2" }, "TOKEN_FILE_MALFORMED"],
    ["three parts of nothing in a token-source file", { privilege_key: "a.b.c" }, "TOKEN_FILE_MALFORMED"],
    ["three parts of nothing in metadatas.token", { metas: { token: "a.b.c" } }, "TOKEN_MALFORMED"],
    ["three parts of nothing in metadatas.jwt", { metas: { jwt: "a.b.c" } }, "JWT_MALFORMED"],
    ["four parts", { metas: { token: "a.b.c.d" } }, "TOKEN_MALFORMED"],
    ["metadatas of no credential", { metas: { color: "blue" } }, "CREDENTIAL_MISSING"],
  ])("13: %s is refused with its own code", async (_what, fields, code) => {
    expect(codeOf(await logIn(fields))).toBe(code);
  });
});

describe("a Vana claim", () => {
  it.each(["wallet", "owner", "run_id", "auth_claim", "auth_sig"] as const)("13: without its %s is half a claim", async (name) => {
    const { [name]: _left, ...metas } = await claimOf();
    const reply = await logIn({ metas });
    expect([codeOf(reply), reply.body.reject_reason]).toEqual(["CLAIM_MALFORMED", expect.stringContaining(`field: ${name}`)]);
  });

  it("13: that is no claim at all is told what is missing", async () => {
    const { wallet: address, owner, run_id } = await claimOf();
    const reply = await logIn({ metas: { wallet: address, owner, run_id } });
    expect(reply.body.reject_reason).toContain("CLAIM_MALFORMED: Missing claim or signature");
  });

  it("12: ends a minute after it says, when no newer one came", async () => {
    const client = await clientOf({ metas: await claimOf() });
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
    bench.frps = showOnDashboard([client]);
    after(359);
    await bench.plugin.reconcile();
    expect((await bench.plugin.readStatus(label)).status).toBe("connected");
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
    after(1);
    await waitForFact("the session is evicted", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.doorCalls).toContain(`delete ${label} ended`);
    const reply = await logIn({ metas: await claimOf(360), run_id: client.ticket });
    expect(reply.body.reject_reason).toMatch(/^CLAIM_EXPIRED: Token expired\. /);
  });

  it("is good at the edge of the minute that clocks may differ by, and not beyond", async () => {
    expect(codeOf(await logIn({ metas: await claimOf(359) }))).toBe("admitted");
    expect(codeOf(await logIn({ metas: await claimOf(360) }))).toBe("CLAIM_EXPIRED");
    expect(codeOf(await logIn({ metas: await claimOf(-60) }))).toBe("admitted");
    expect(codeOf(await logIn({ metas: await claimOf(-61) }))).toBe("CLOCK_SKEW");
  });
});

describe.each(["a Vana claim in its five metadatas", "a Stellar JWT in metadatas.jwt"])("a client left behind, with %s", (kind) => {
  it("2: loses to its successor for ever: with its ticket, when that one is gone, and after a restart", async () => {
    const orphansOwn = await present(kind, 30);
    const orphan = await clientOf(orphansOwn);
    const successor = await clientOf(await present(kind));
    expect(codeOf(await bench.newProxy(successor))).toBe("admitted");
    const back = async () => codeOf(await logIn({ ...orphansOwn, run_id: orphan.ticket }));
    expect(await back()).toBe("CREDENTIAL_OUTDATED");
    await bench.closeProxy(successor);
    expect([await back(), codeOf(await bench.newProxy(orphan))]).toEqual(["CREDENTIAL_OUTDATED", "CREDENTIAL_OUTDATED"]);
    await bench.restart();
    expect([await back(), codeOf(await logIn(orphansOwn))]).toEqual(["CREDENTIAL_OUTDATED", "CREDENTIAL_OUTDATED"]);
    const again = await clientOf({ ...(await present(kind)), run_id: successor.ticket });
    expect(again.ticket).toBe(successor.ticket);
  });
});

it("a Stellar JWT waits while our own account is not known yet", async () => {
  bench.stellarAddress = undefined;
  expect(codeOf(await logIn({ metas: { jwt: stellarJwt() } }))).toBe("STARTING_UP");
});

it("a tunnel JWT that was bought counts as its record says, and a newer one for the session that lives", async () => {
  const first = await bench.buyToken(label, { kind: "jwt" });
  const client = admitted(await bench.login(label, first));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  after(1800);
  await bench.buyToken(label, { kind: "jwt" });
  after(1801);
  expect(codeOf(await logIn({ privilege_key: first }))).toBe("TOKEN_EXPIRED");
  expect(codeOf(await logIn({ privilege_key: first, run_id: client.ticket }))).toBe("admitted");
});

it.each([
  ["0.57.9", "CLIENT_TOO_OLD"],
  ["0.58.0", "admitted"],
  ["v0.67.0", "admitted"],
  ["0.71.0-rc.1", "admitted"],
  ["0.100.0", "admitted"],
  ["1.0.0", "admitted"],
  ["0.58", "CLIENT_TOO_OLD"],
  ["latest", "CLIENT_TOO_OLD"],
])("a client of version %s is %s", async (version, code) => {
  expect(codeOf(await logIn({ metas: { token: hmac() }, version }))).toBe(code);
});

type Vector = {
  id: string;
  metas?: ClaimMetas;
  jwt?: string;
  nowForTest?: number;
  proxy?: Fields;
  payload?: { owner: string; wallet: string };
};
const { vectors } = JSON.parse(readFileSync(new URL("../vectors/interop.json", import.meta.url), "utf8")) as { vectors: Vector[] };

describe("what real clients sent", () => {
  /** The code; for an owner's own signature the one while the registry names him, and while it names another. */
  const expected: Readonly<Record<string, string | { owner: string; another: string }>> = {
    "vana.claim.server-signed": { owner: "admitted", another: "SERVER_NOT_REGISTERED" },
    "vana.claim.owner-signed": { owner: "admitted", another: "SERVER_NOT_REGISTERED" },
    "vana.claim.owner-is-wallet": "admitted",
    "vana.claim.hijack-owner-signed": { owner: "admitted", another: "SERVER_NOT_REGISTERED" },
    "vana.claim.expired": "CLAIM_EXPIRED",
    "vana.claim.future": "CLOCK_SKEW",
    "vana.claim.wrong-aud": "CLAIM_AUDIENCE",
    "vana.claim.subdomain-mismatch": "CLAIM_INCONSISTENT",
    "vana.claim.long-ttl": "CLAIM_LIFE_TOO_LONG",
    "hvym.jwt.seed-style": "admitted",
    "hvym.jwt.challenge": "admitted",
    "hvym.jwt.multi-service": "admitted",
    "hvym.jwt.no-exp": "JWT_MALFORMED",
    "hvym.jwt.expired": "JWT_EXPIRED",
    "hvym.jwt.wrong-aud": "JWT_AUDIENCE",
    "hvym.jwt.wrong-iss": "JWT_ISSUER",
    "hvym.jwt.kid-mismatch": "JWT_KEY_MISMATCH",
    "hvym.jwt.alg-none": "JWT_ALGORITHM",
    "hvym.jwt.future-iat": "JWT_NOT_YET_VALID",
    "hvym.jwt.bad-signature": "SIGNATURE_INVALID",
  };
  const used = vectors.filter(({ id }) => /^(?:vana\.claim|hvym\.jwt)\./.test(id));

  it("is here, all of it", () => {
    expect(used.map(({ id }) => id).sort()).toEqual(Object.keys(expected).sort());
  });

  it.each(used)("$id is answered as expected", async (vector) => {
    const wanted = expected[vector.id];
    const fields: Fields = vector.metas === undefined ? { metas: { jwt: vector.jwt } } : { metas: { ...vector.metas } };
    await using gateway = await startGatewayStandIn();
    await using asking = await startHookBench({ vana: { gatewayUrl: gateway.url } });
    asking.now = new Date((vector.nowForTest ?? 1707091210) * 1000);
    const answer = async (): Promise<HookReply> => await asking.call("Login", loginContent(fields));
    const register = (ownerAddress: string): void => gateway.register({ serverAddress: vector.payload?.wallet ?? "", ownerAddress });
    if (typeof wanted === "string") {
      const reply = await answer();
      expect(codeOf(reply)).toBe(wanted);
      if (wanted === "CLAIM_EXPIRED") expect(reply.body.reject_reason).toContain("Token expired");
      if (wanted === "CLOCK_SKEW") expect(reply.body.reject_reason).toContain("Token issued in the future");
      return;
    }
    register("0x000000000000000000000000000000000000dEaD");
    expect(codeOf(await answer())).toBe(wanted?.another);
    asking.now = new Date(asking.now.getTime() + 61_000);
    register(vector.payload?.owner ?? "");
    const reply = await answer();
    expect(codeOf(reply)).toBe(wanted?.owner);
    const { user, run_id, metas } = reply.body.content as Fields;
    expect(codeOf(await asking.call("NewProxy", { user: { user, run_id, metas }, ...vector.proxy }))).toBe("admitted");
  });
});

describe("the line that HVYM's operators know", () => {
  const told = (): readonly Record<string, unknown>[] =>
    bench.log.lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === "tunnel_connected");
  const expected = {
    level: "info",
    timestamp: "2026-11-22T12:00:00Z",
    event: "tunnel_connected",
    stellar_address: account.address,
    endpoint: `http://${account.label}.${domain}`,
    services: ["pintheon"],
    message: "a Stellar account's tunnel is connected",
  };

  it("is written once for each tunnel of a Stellar account, when it is there and not when it logs in", async () => {
    const client = await clientOf({ metas: { jwt: stellarJwt() } });
    expect(told()).toEqual([]);
    await bench.newProxy(client);
    await bench.newProxy(client, { proxy_name: "another" });
    expect(told()).toEqual([expected]);
    await bench.closeProxy(client);
    await bench.closeProxy(client, "another");
    await bench.newProxy(await clientOf({ metas: { jwt: stellarJwt() }, run_id: client.ticket }));
    expect(told()).toEqual([expected, expected]);
  });

  it("is written for a Stellar account's tunnel token too, which lists no services, and not for an EVM wallet", async () => {
    const token = await bench.buyToken(account.label as Label);
    await bench.newProxy(await clientOf({ metas: { token } }));
    await bench.newProxy(await clientOf({ metas: { token: hmac() } }));
    expect(told()).toEqual([{ ...expected, services: [] }]);
  });
});
