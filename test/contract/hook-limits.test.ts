/** How often, how many at once, and what a signature costs whoever has none. */
import type { Label } from "@keyhole/core";
import { afterEach, describe, expect, it } from "vitest";
import {
  type EvmHolder,
  makeClaim,
  makeEvmHolder,
  makeHmacToken,
  makeStellarHolder,
  makeStellarJwt,
  type StellarHolder,
} from "../support/credentials.ts";
import {
  admitted,
  alice,
  type BenchClient,
  bob,
  codeOf,
  type HookBench,
  type HookReply,
  loginContent,
  startHookBench,
  stellarServer,
} from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench | undefined;
afterEach(async () => await bench?.[Symbol.asyncDispose]());
async function start(limits: Parameters<typeof startHookBench>[0] = {}): Promise<HookBench> {
  bench = await startHookBench(limits);
  return bench;
}

const secondsOf = (reply: HookReply | BenchClient | string): number =>
  Number(/retryAfterSeconds: (\d+)/.exec(typeof reply === "string" ? reply : "body" in reply ? (reply.body.reject_reason ?? "") : "")?.[1]);
const later = (on: HookBench, seconds: number): void => {
  on.now = new Date(on.now.getTime() + seconds * 1000);
};
const logInWith = async (on: HookBench, metas: Readonly<Record<string, string>>): Promise<string> =>
  codeOf(await on.call("Login", loginContent({ metas })));
const lifeOf = (on: HookBench, age: number): { iat: number; exp: number } => {
  const iat = Math.floor(on.now.getTime() / 1000) - age;
  return { iat, exp: iat + 300 };
};
const claimOf = (on: HookBench, wallet: EvmHolder, age = 0) => makeClaim(wallet, { claim: lifeOf(on, age) });
const stellarJwtOf = (on: HookBench, account: StellarHolder, age: number): string =>
  makeStellarJwt(account, stellarServer, { payload: lifeOf(on, age) });
/** A claim that somebody else signed. */
async function forgeClaim(on: HookBench) {
  const iat = Math.floor(on.now.getTime() / 1000);
  const [victim, thief] = [makeEvmHolder(), makeEvmHolder()];
  return await makeClaim(thief, { wallet: victim.address, owner: victim.address, claim: { iat, exp: iat + 300 } });
}

describe("logins of one wallet", () => {
  it("above the limit are refused, with when to come back; then one is let in again", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 3 } });
    const token = await on.buyToken(alice);
    for (let count = 0; count < 3; count += 1) admitted(await on.login(alice, token));
    const refused = await on.login(alice, token);
    expect([codeOf(refused), secondsOf(refused)]).toEqual(["RATE_LIMITED", 20]);
    expect(codeOf(await on.login(bob, await on.buyToken(bob)))).toBe("admitted");
    later(on, 20);
    expect(codeOf(await on.login(alice, token))).toBe("admitted");
  });

  it("2: with a stolen token use up nothing of a newer one", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 3 } });
    const stolen = await on.buyToken(alice);
    for (let count = 0; count < 9; count += 1) await on.login(alice, stolen);
    later(on, 1);
    const fresh = await on.buyToken(alice);
    expect(codeOf(await on.login(alice, fresh))).toBe("admitted");
  });

  it("that nobody proved use up nothing of anybody's", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 2 } });
    const token = await on.buyToken(alice);
    const forged = token.slice(0, -1) + (token.endsWith("0") ? "1" : "0");
    for (let count = 0; count < 9; count += 1) expect(codeOf(await on.login(alice, forged))).toBe("TOKEN_SIGNATURE");
    expect(codeOf(await on.login(alice, token))).toBe("admitted");
  });

  it("with credentials of any time are ten times as many together: whoever signs them makes as many as he likes", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 2 } });
    const wallet = makeEvmHolder();
    const codes: string[] = [];
    for (let age = 21; age > 0; age -= 1) codes.push(await logInWith(on, await claimOf(on, wallet, age)));
    expect(codes).toEqual([...Array.from({ length: 20 }, () => "admitted"), "RATE_LIMITED"]);
  });

  it.each(["claim", "Stellar JWT"] as const)("2: with a stolen %s, sent without end, leave its owner's next one alone", async (kind) => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 3 } });
    const [wallet, account] = [makeEvmHolder(), makeStellarHolder()];
    const metasOf = async (age: number) => (kind === "claim" ? await claimOf(on, wallet, age) : { jwt: stellarJwtOf(on, account, age) });
    const stolen = await metasOf(5);
    for (let count = 0; count < 40; count += 1) await logInWith(on, stolen);
    expect(await logInWith(on, stolen)).toBe("RATE_LIMITED");
    expect(await logInWith(on, await metasOf(0))).toBe("admitted");
  });

  it("2: with a stolen credential that is revoked leave its owner's next one alone", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 3 } });
    const wallet = makeEvmHolder();
    const stolen = await claimOf(on, wallet, 5);
    await on.revoke(wallet.label as Label);
    // What was signed within a minute after it counts as revoked too: clocks differ.
    later(on, 62);
    for (let count = 0; count < 3; count += 1) expect(await logInWith(on, stolen)).toBe("TOKEN_REVOKED");
    expect(await logInWith(on, stolen)).toBe("RATE_LIMITED");
    expect(await logInWith(on, await claimOf(on, wallet))).toBe("admitted");
  });

  it("1, 2: with claims of somebody who says that he owns the wallet use up nothing of the wallet's", async () => {
    const on = await start({ limits: { loginsPerIdentityPerMinute: 3 } });
    const [victim, thief] = [makeEvmHolder(), makeEvmHolder()];
    const codes: string[] = [];
    for (let count = 0; count < 62; count += 1) {
      const iat = Math.floor(on.now.getTime() / 1000) - 62 + count;
      const claim = { iat, exp: iat + 300 };
      codes.push(await logInWith(on, await makeClaim(thief, { wallet: victim.address, owner: thief.address, claim })));
    }
    expect(codes.slice(0, 4)).toEqual(["GATEWAY_UNAVAILABLE", "GATEWAY_UNAVAILABLE", "GATEWAY_UNAVAILABLE", "RATE_LIMITED"]);
    expect(codes.slice(4)).toEqual(Array.from({ length: 58 }, () => "RATE_LIMITED"));
    expect(on.log.lines.join()).not.toContain(victim.label);
    expect(await logInWith(on, await claimOf(on, victim))).toBe("admitted");
  });

  it("1: for wallets that are nobody's of his are failed proofs of the network that they come from", async () => {
    const on = await start({ limits: { failedProofsPerMinute: 2 } });
    const codes: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const thief = makeEvmHolder();
      const iat = Math.floor(on.now.getTime() / 1000);
      const claim = { iat, exp: iat + 300 };
      codes.push(await logInWith(on, await makeClaim(thief, { wallet: makeEvmHolder().address, owner: thief.address, claim })));
    }
    expect(codes).toEqual(["GATEWAY_UNAVAILABLE", "GATEWAY_UNAVAILABLE", "RATE_LIMITED"]);
  });
});

describe("proxies of one session", () => {
  it("2: of a thief with an older token, junk and good, use up nothing of the owner's", async () => {
    const on = await start({ limits: { proxiesPerIdentityPerMinute: 2 } });
    const stolen = await on.buyToken(alice);
    const thief = admitted(await on.login(alice, stolen));
    for (let count = 0; count < 9; count += 1) expect(codeOf(await on.newProxy(thief, { proxy_type: "tcp" }))).toBe("PROXY_TYPE");
    expect([codeOf(await on.newProxy(thief)), codeOf(await on.newProxy(thief))]).toEqual(["admitted", "admitted"]);
    expect(codeOf(await on.newProxy(thief))).toBe("RATE_LIMITED");
    later(on, 1);
    const owner = admitted(await on.login(alice, await on.buyToken(alice)));
    expect(codeOf(await on.newProxy(owner))).toBe("admitted");
  });

  it("above the limit are refused without a kick: the client would only come sooner", async () => {
    const on = await start({ limits: { proxiesPerIdentityPerMinute: 2 } });
    const client = admitted(await on.login(alice, await on.buyToken(alice)));
    const bobs = admitted(await on.login(bob, await on.buyToken(bob)));
    expect([codeOf(await on.newProxy(client)), codeOf(await on.newProxy(client))]).toEqual(["admitted", "admitted"]);
    const refused = await on.newProxy(client);
    expect([codeOf(refused), secondsOf(refused)]).toEqual(["RATE_LIMITED", 30]);
    expect(codeOf(await on.newProxy(bobs))).toBe("admitted");
    expect(on.kicked).toEqual([]);
    later(on, 30);
    expect(codeOf(await on.newProxy(client))).toBe("admitted");
  });
});

describe("an address that logs in too often, as the edge says", () => {
  it("is refused with when to come back, whatever it presents, and takes nobody's place", async () => {
    const on = await start();
    const token = await on.buyToken(alice);
    const first = admitted(await on.login(alice, token));
    on.limited.set("127.0.0.1:40666", 7);
    const iat = Math.floor(on.now.getTime() / 1000);
    const wallet = makeEvmHolder();
    const account = makeStellarHolder();
    for (const fields of [
      { metas: { token } },
      { privilege_key: await on.buyToken(bob, { kind: "jwt" }) },
      { metas: await makeClaim(wallet, { claim: { iat, exp: iat + 300 } }) },
      { metas: { jwt: makeStellarJwt(account, stellarServer, { payload: { iat, exp: iat + 300 } }) } },
    ]) {
      const reply = await on.call("Login", loginContent({ ...fields, client_address: "127.0.0.1:40666" }));
      expect([codeOf(reply), secondsOf(reply)]).toEqual(["RATE_LIMITED", 7]);
    }
    expect(on.kicked).toEqual([]);
    expect(codeOf(await on.newProxy(first))).toBe("admitted");
  });

  it("is refused before its signature is looked at: one that is forged reads the same", async () => {
    const on = await start();
    on.limited.set("127.0.0.1:40666", 7);
    const reply = await on.call("Login", loginContent({ metas: await forgeClaim(on), client_address: "127.0.0.1:40666" }));
    expect(codeOf(reply)).toBe("RATE_LIMITED");
    on.gone.add("127.0.0.1:40667");
    expect(codeOf(await on.call("Login", loginContent({ metas: await forgeClaim(on), client_address: "127.0.0.1:40667" })))).toBe(
      "CLIENT_GONE",
    );
    on.silent.add("127.0.0.1:40668");
    expect(codeOf(await on.call("Login", loginContent({ metas: await forgeClaim(on), client_address: "127.0.0.1:40668" })))).toBe(
      "EDGE_SILENT",
    );
  });
});

describe("signatures that were nobody's", () => {
  const from = (on: HookBench, source: string): string => {
    const address = `127.0.0.1:${41_000 + on.sources.size}`;
    on.sources.set(address, source);
    return address;
  };
  const tryForged = async (on: HookBench, source: string): Promise<string> =>
    codeOf(await on.call("Login", loginContent({ metas: await forgeClaim(on), client_address: from(on, source) })));
  const tryGood = async (on: HookBench, source: string): Promise<HookReply> => {
    const iat = Math.floor(on.now.getTime() / 1000);
    const metas = await makeClaim(makeEvmHolder(), { claim: { iat, exp: iat + 300 } });
    return await on.call("Login", loginContent({ metas, client_address: from(on, source) }));
  };

  it("use up what the network that they come from has; then no signature of it is looked at, and nobody else is touched", async () => {
    const on = await start({ limits: { failedProofsPerMinute: 2 } });
    expect(await tryForged(on, "203.0.113.7:50000")).toBe("SIGNER_MISMATCH");
    expect(codeOf(await tryGood(on, "203.0.113.8:50000"))).toBe("admitted");
    expect(await tryForged(on, "203.0.113.200:50001")).toBe("SIGNER_MISMATCH");
    expect(await tryForged(on, "203.0.113.7:50002")).toBe("RATE_LIMITED");
    const refused = await tryGood(on, "203.0.113.9:50003");
    expect([codeOf(refused), secondsOf(refused)]).toEqual(["RATE_LIMITED", 30]);
    expect(codeOf(await tryGood(on, "203.0.114.7:50000"))).toBe("admitted");
    expect(codeOf(await on.login(alice, await on.buyToken(alice), "", from(on, "203.0.113.7:50004")))).toBe("admitted");
    later(on, 30);
    expect(codeOf(await tryGood(on, "203.0.113.9:50005"))).toBe("admitted");
  });

  it("of IPv6 are counted for the whole network that one customer has", async () => {
    const on = await start({ limits: { failedProofsPerMinute: 1 } });
    expect(await tryForged(on, "[2001:db8:0:4501::1]:50000")).toBe("SIGNER_MISMATCH");
    expect(await tryForged(on, "[2001:db8:0:45ff:ffff::2]:50000")).toBe("RATE_LIMITED");
    expect(await tryForged(on, "[2001:db8:0:4601::1]:50000")).toBe("SIGNER_MISMATCH");
  });

  it("are not what is merely of a wrong form or too old: that costs nothing", async () => {
    const on = await start({ limits: { failedProofsPerMinute: 1 } });
    const iat = Math.floor(on.now.getTime() / 1000) - 1000;
    for (let count = 0; count < 3; count += 1) {
      const metas = await makeClaim(makeEvmHolder(), { claim: { iat, exp: iat + 300 } });
      expect(codeOf(await on.call("Login", loginContent({ metas })))).toBe("CLAIM_EXPIRED");
      expect(codeOf(await on.call("Login", loginContent({ privilege_key: "a.b.c" })))).toBe("TOKEN_FILE_MALFORMED");
    }
    expect(await tryForged(on, "127.0.0.1:50000")).toBe("SIGNER_MISMATCH");
  });
});

describe("logins at once", () => {
  it("4: above the limit are refused at once, and asked about nowhere", async () => {
    const on = await start({ limits: { loginsInFlight: 2 } });
    const tokens = [await on.buyToken(alice), await on.buyToken(bob), await on.buyToken(alice)];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reads = 0;
    on.onRead = () => {
      reads += 1;
      return held;
    };
    const first = [on.login(alice, tokens[0] ?? ""), on.login(bob, tokens[1] ?? "")];
    await waitForFact("two logins are being decided", () => (reads === 2 ? true : undefined));
    expect(codeOf(await on.login(alice, tokens[2] ?? ""))).toBe("BUSY");
    release();
    expect((await Promise.all(first)).map(codeOf)).toEqual(["admitted", "admitted"]);
    expect(codeOf(await on.login(alice, tokens[2] ?? ""))).toBe("admitted");
    expect(on.plugin.stats().refusals.get("BUSY")).toBe(1);
  });

  it("2, 4: at the limit two hundred takeovers at the same moment all succeed: their kicks wait for nothing", async () => {
    const on = await start({ limits: { loginsInFlight: 200 } });
    const labels = Array.from({ length: 200 }, (_, index) => `0x${(index + 1000).toString(16).padStart(40, "0")}` as Label);
    const secret = Buffer.alloc(32, 9);
    const tokenOf = (label: Label) => makeHmacToken({ label, issuedAt: Math.floor(on.now.getTime() / 1000), secret });
    const logInAll = (): Promise<(BenchClient | string)[]> =>
      Promise.all(labels.map((label, index) => on.login(label, tokenOf(label), "", `127.0.0.1:${50_000 + index}`)));
    const former = (await logInAll()).map(admitted);
    later(on, 1);
    // Every login is under way before the first kick goes out.
    let waiting = 0;
    let release = (): void => {};
    const all = new Promise<void>((resolve) => {
      release = resolve;
    });
    on.onRead = () => {
      waiting += 1;
      if (waiting === labels.length) release();
      return all;
    };
    const newcomers = (await logInAll()).map(admitted);
    expect(new Set(on.kicked)).toEqual(new Set(former.map(({ ticket }) => ticket)));
    expect(newcomers).toHaveLength(200);
    expect(on.plugin.stats().refusals.size).toBe(0);
  });
});
