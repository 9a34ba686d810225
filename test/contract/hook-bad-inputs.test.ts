/**
 * The public corpus of bad inputs at the hook (`test/vectors/bad-inputs.json`, ids b…), each as the corpus words it. Where
 * the answer is another one than the corpus expects, the row says why.
 */
import { createPrivateKey, sign } from "node:crypto";
import { renderHookAnswer } from "@keyhole/frp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { badInputsOf } from "../support/bad-inputs.ts";
import { makeClaim, makeEvmHolder, makeHmacToken } from "../support/credentials.ts";
import {
  admitted,
  alice,
  type BenchClient,
  bob,
  codeOf,
  domain,
  type HookBench,
  type HookReply,
  jwtKey,
  loginContent,
  showOnDashboard,
  startHookBench,
} from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

type Fields = Record<string, unknown>;
const nowSeconds = (): number => Math.floor(bench.now.getTime() / 1000);
const logIn = async (fields: Fields): Promise<HookReply> => {
  const reply = await bench.call("Login", loginContent(fields));
  expect(reply.status).toBe(200);
  return reply;
};
const withToken = async (token: string): Promise<string> => codeOf(await logIn({ metas: { token } }));
const client = async (label = alice): Promise<BenchClient> => admitted(await bench.login(label, await bench.buyToken(label)));
/** The code of each NewProxy of a client that was admitted. */
async function proxies(...cases: readonly Fields[]): Promise<string[]> {
  const own = await client();
  const codes: string[] = [];
  for (const fields of cases) codes.push(codeOf(await bench.newProxy(own, fields)));
  return codes;
}
const hmac = (issuedAt = nowSeconds(), secret = Buffer.alloc(32, 9)): string => makeHmacToken({ label: alice, issuedAt, secret });

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
/** A tunnel JWT that our key has signed, whatever it says. */
function signJwt(header: Fields = {}, payload: Fields = {}): string {
  const iat = nowSeconds();
  const claims = { iss: domain, aud: domain, sub: alice, subdomain: alice, iat, exp: iat + 3600, ...payload };
  const text = `${encode({ alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: jwtKey.id, ...header })}.${encode(claims)}`;
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), jwtKey.seed]);
  return `${text}.${sign(null, Buffer.from(text), createPrivateKey({ key: der, format: "der", type: "pkcs8" })).toString("base64url")}`;
}
const claim = (holder: Parameters<typeof makeClaim>[0], age = 0, options: Parameters<typeof makeClaim>[1] = {}) =>
  makeClaim(holder, { ...options, claim: { iat: nowSeconds() - age, exp: nowSeconds() - age + 300, ...options.claim } });

const rows: Readonly<Record<string, () => Promise<void>>> = {
  async b02() {
    const before = bench.log.lines.length;
    for (const authorization of ["", `Basic ${Buffer.from("frps:wrong").toString("base64")}`]) {
      // No JSON: if it were parsed, it would be another code.
      expect((await bench.raw({ headers: { authorization }, body: "{" })).status).toBe(401);
    }
    expect(bench.log.lines.length).toBe(before);
    expect(bench.plugin.stats().refusals.get("HOOK_UNAUTHORIZED")).toBe(2);
  },
  async b04() {
    const reply = await bench.raw({ path: "/hook?op=Login&version=0.1.0", body: '{"version":"0.1.0","op":"NewProxy","content":{}}' });
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([400, "OP_MISMATCH"]);
  },
  async b06() {
    const body = JSON.stringify({ version: "0.1.0", op: "Login", content: loginContent({ hostname: "x".repeat(97 * 1024) }) });
    expect((await bench.raw({ body })).status).toBe(413);
  },
  async b08() {
    const swap = (text: string, from: string): string => (text.endsWith(from) ? `${text.slice(0, -1)}B` : `${text.slice(0, -1)}${from}`);
    for (const good of [await bench.buyToken(alice), signJwt()]) {
      const middle = good.length >> 1;
      const spellings = [
        ` ${good}`,
        `${good} `,
        `${good.slice(0, middle)} ${good.slice(middle)}`,
        `${good}\n`,
        `${good}=`,
        good.replaceAll("_", "/").replaceAll("-", "+"),
      ];
      for (const bad of spellings.filter((text) => text !== good)) expect(await withToken(bad)).toBe("TOKEN_MALFORMED");
      expect(await withToken(good)).toBe("admitted");
    }
    // 64 bytes are 86 characters, whose last one has four bits to spare.
    expect(await withToken(swap(signJwt(), "C"))).toBe("TOKEN_MALFORMED");
  },
  async b10() {
    for (const kid of ["../../etc/passwd", "1' OR '1'='1", undefined, "1700000000000-ffffffff", "", 7, "__proto__"])
      expect([kid, await withToken(signJwt({ kid }))]).toEqual([kid, "TOKEN_KEY_UNKNOWN"]);
    expect(await withToken(hmac(undefined, Buffer.alloc(32, 1)))).toBe("TOKEN_SIGNATURE");
  },
  async b12() {
    expect(await withToken(hmac(nowSeconds() + 86_400))).toBe("TOKEN_NOT_YET_VALID");
    expect(await withToken(signJwt({}, { iat: nowSeconds() + 86_400, exp: nowSeconds() + 90_000 }))).toBe("TOKEN_NOT_YET_VALID");
    // Not the corpus' code: we never sign an nbf, so what has one is no token of ours, whatever its time.
    expect(await withToken(signJwt({}, { nbf: nowSeconds() + 3600 }))).toBe("TOKEN_MALFORMED");
  },
  async b14() {
    const [good, jwt] = [hmac(), signJwt()];
    expect(await withToken(good.replace(String(nowSeconds()), String(nowSeconds() - 1)))).toBe("TOKEN_SIGNATURE");
    const [header, , signature] = jwt.split(".");
    const others = signJwt({}, { sub: bob, subdomain: bob }).split(".")[1];
    expect(await withToken(`${header}.${others}.${signature}`)).toBe("TOKEN_SIGNATURE");
    expect(await withToken(hmac(undefined, Buffer.alloc(32, 1)))).toBe("TOKEN_SIGNATURE");
    // Not the corpus' code: a token has all 64 digits of its MAC, so one with 12 has not the form of a token.
    expect(await withToken(good.slice(0, -52))).toBe("TOKEN_MALFORMED");
  },
  async b16() {
    const token = await bench.buyToken(alice);
    await bench.revoke(alice);
    expect(await withToken(token)).toBe("TOKEN_REVOKED");
  },
  async b18() {
    const holder = makeEvmHolder();
    const expired = await logIn({ metas: await claim(holder, 361) });
    expect(expired.body.reject_reason).toMatch(/^CLAIM_EXPIRED: Token expired\. .*seconds: 61/);
    const early = await logIn({ metas: await claim(holder, -61) });
    expect(early.body.reject_reason).toMatch(/^CLOCK_SKEW: .*seconds: 61/);
  },
  async b20() {
    const [holder, other] = [makeEvmHolder(), makeEvmHolder()];
    for (const [field, options] of [
      ["subdomain", { claim: { subdomain: other.label } }],
      ["wallet", { metas: { wallet: other.address } }],
      ["runId", { metas: { run_id: "another" } }],
    ] as const) {
      const reply = await logIn({ metas: await claim(holder, 0, options) });
      expect([codeOf(reply), reply.body.reject_reason]).toEqual(["CLAIM_INCONSISTENT", expect.stringContaining(`field: ${field}`)]);
    }
  },
  async b22() {
    const [owner, victim] = [makeEvmHolder(), makeEvmHolder()];
    // Not the corpus' code: an owner may sign for a server that the registry says is his (DESIGN.md §5), so it is asked first.
    const metas = await claim(owner, 0, { wallet: victim.address, owner: owner.address });
    expect(codeOf(await logIn({ metas }))).toBe("GATEWAY_UNAVAILABLE");
    const forged = await claim(owner, 0, { wallet: victim.address, owner: victim.address });
    expect(codeOf(await logIn({ metas: forged }))).toBe("SIGNER_MISMATCH");
  },
  async b24() {
    const bobs = await client(bob);
    expect(codeOf(await bench.newProxy(bobs))).toBe("admitted");
    const mine = admitted(await bench.login(alice, await bench.buyToken(alice), bobs.ticket));
    expect(mine.ticket).not.toBe(bobs.ticket);
    expect([bench.kicked, (await bench.plugin.readStatus(bob)).status]).toEqual([[], "connected"]);
  },
  async b26() {
    expect(codeOf(await logIn({ metas: { token: hmac() }, pool_count: -1 }))).toBe("POOL_COUNT");
  },
  async b28() {
    for (const count of [2_147_483_647, 1e9]) {
      const reply = await logIn({ metas: { token: hmac() }, pool_count: count });
      expect(reply.body.content?.["pool_count"]).toBe(5);
    }
  },
  async b30() {
    await client(bob);
    const reply = await logIn({ metas: { token: hmac() }, client_id: `${bob}.bob` });
    expect(reply.body.content).toMatchObject({ user: alice, client_id: "" });
    expect(await bench.login(bob, await bench.buyToken(bob))).toMatchObject({ label: bob });
  },
  async b32() {
    const content = JSON.stringify(loginContent({ metas: { token: hmac() } }));
    for (const timestamp of ["9223372036854775807", "-9223372036854775808"]) {
      const body = `{"version":"0.1.0","op":"Login","content":${content.replace(/"timestamp":\d+/, `"timestamp":${timestamp}`)}}`;
      const reply = await bench.raw({ body });
      expect([reply.status, codeOf(reply), reply.body.reject_reason]).toEqual([
        200,
        "LOGIN_MALFORMED",
        expect.stringContaining("field: timestamp"),
      ]);
    }
  },
  async b34() {
    const old = await logIn({ metas: { token: hmac() }, version: "0.1.0" });
    expect([codeOf(old), old.body.reject_reason]).toEqual(["CLIENT_TOO_OLD", expect.stringContaining("0.58.0")]);
    expect(codeOf(await logIn({ metas: { token: hmac() }, version: "99.0.0" }))).toBe("admitted");
    expect(codeOf(await logIn({ metas: { token: hmac() }, version: "" }))).toBe("CLIENT_TOO_OLD");
  },
  async b36() {
    const own = await client();
    for (const type of ["tcp", "udp", "stcp", "sudp", "xtcp", "tcpmux", "https", "", "HTTP", "http "]) {
      const reply = await bench.newProxy(own, { proxy_type: type });
      expect([type, codeOf(reply)]).toEqual([type, "PROXY_TYPE"]);
      expect(reply.body.reject_reason).toContain('Set type = "http"');
    }
  },
  async b38() {
    const own = await client();
    for (const subdomain of [alice.toUpperCase(), `0x${alice.slice(2).toUpperCase()}`]) {
      const reply = await bench.newProxy(own, { subdomain });
      const [host] = (reply.body.content?.["custom_domains"] ?? []) as string[];
      expect(host?.toLowerCase()).toBe(`${alice}.${domain}`);
    }
  },
  async b40() {
    const bad = [
      "a.b",
      "*",
      "-x",
      "x-",
      "xn--80ak6aa92e",
      "a".repeat(64),
      "0xabc\0",
      " ",
      `${alice} `,
      "\uff10x1",
      "\u0130",
      "\u212a",
      bob,
    ];
    expect(new Set(await proxies(...bad.map((subdomain) => ({ subdomain }))))).toEqual(new Set(["SUBDOMAIN_NOT_OWNED"]));
  },
  async b42() {
    expect(await proxies({ custom_domains: ["victim.server.vana.org"] })).toEqual(["CUSTOM_DOMAIN_FORBIDDEN"]);
  },
  async b44() {
    const hosts = ["*", "*.vana.org", "*.SERVER.vana.org", "server.vana.org", "", "a."];
    expect(new Set(await proxies(...hosts.map((host) => ({ custom_domains: [host] }))))).toEqual(new Set(["CUSTOM_DOMAIN_FORBIDDEN"]));
  },
  async b46() {
    const cases = [["/admin"], [""], Array.from({ length: 10_000 }, () => "/"), ["*"]].map((locations) => ({ locations }));
    expect(new Set(await proxies(...cases))).toEqual(new Set(["LOCATIONS_FORBIDDEN"]));
  },
  async b48() {
    expect(await proxies({ group: "g", group_key: "" }, { group_key: "k" })).toEqual(["GROUP_FORBIDDEN", "GROUP_FORBIDDEN"]);
  },
  async b50() {
    const values = ["metadata.google.internal", "a\r\nb"];
    expect(new Set(await proxies(...values.map((value) => ({ host_header_rewrite: value }))))).toEqual(new Set(["HOST_REWRITE_FORBIDDEN"]));
  },
  async b52() {
    const headers = [
      { "Set-Cookie": "a=b; Domain=.vana.org" },
      { "Strict-Transport-Security": "max-age=1; includeSubDomains" },
      { "Access-Control-Allow-Origin": "*" },
    ];
    const codes = await proxies(...headers.map((header) => ({ response_headers: header })));
    expect(new Set(codes)).toEqual(new Set(["RESPONSE_HEADERS_FORBIDDEN"]));
  },
  async b54() {
    expect(await proxies({ use_compression: true }, { use_encryption: true })).toEqual(["TRANSPORT_OPTION", "TRANSPORT_OPTION"]);
  },
  async b56() {
    // A name of the wallet's own may hold a format of Go's: frps prints names as values.
    const names = ["%s", "a\nb", `${alice}.a\nb`, "a/b", "x".repeat(9000), `${alice}.${"x".repeat(9000)}`, "", "\u00fc", `${alice}.\u00fc`];
    expect(new Set(await proxies(...names.map((name) => ({ proxy_name: name }))))).toEqual(new Set(["PROXY_NAME"]));
  },
  async b58() {
    expect(await proxies({ annotations: { "a/b/c": "x" } }, { annotations: { a: "x".repeat(60_000) } })).toEqual([
      "ANNOTATIONS_FORBIDDEN",
      "ANNOTATIONS_FORBIDDEN",
    ]);
    // frps's own frames end at 64 KiB; what is larger is no request of frps's.
    expect((await bench.newProxy(await client(), { annotations: { a: "x".repeat(200_000) } })).status).toBe(413);
  },
  async b60() {
    const own = await client();
    const before = await bench.newProxy(own);
    // As when frps has no proxy of it yet, or shows it already.
    for (const view of [{ clients: [], proxies: [] }, showOnDashboard([own])]) {
      bench.frps = view;
      await bench.restart();
      const after = await bench.newProxy(own);
      expect([codeOf(before), codeOf(after)]).toEqual(["admitted", "admitted"]);
    }
    const stranger = { ...own, user: { ...own.user, run_id: "made-up", metas: { session: "made-up" } } };
    expect(codeOf(await bench.newProxy(stranger))).toBe("SESSION_UNKNOWN");
  },
  async b62() {
    const reply = await bench.call("NewWorkConn", { user: { user: alice, metas: {}, run_id: "x" }, run_id: "x" });
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([400, "OP_UNEXPECTED"]);
  },
  async b64() {
    const reply = await bench.call("NewUserConn", { user: { user: alice, metas: {}, run_id: "x" }, proxy_name: alice, proxy_type: "http" });
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([400, "OP_UNEXPECTED"]);
    expect(bench.plugin.stats().refusals.get("OP_UNEXPECTED")).toBe(1);
  },
  async b66() {
    // How long it takes is measured by `npm run bench`, on a machine that does nothing else.
    const token = await bench.buyToken(alice);
    const replies = await Promise.all(Array.from({ length: 100 }, () => bench.login(alice, token)));
    expect(replies.filter((reply) => typeof reply !== "string").length).toBeGreaterThan(0);
    expect(bench.plugin.stats().sessions).toBe(1);
  },
  async b68() {
    bench.tokensFault = new TypeError("cannot read properties of undefined");
    const reply = await logIn({ metas: { token: hmac() } });
    expect(reply.body).toEqual({ reject: true, reject_reason: expect.stringMatching(/^INTERNAL_ERROR: .*Try again/) });
    await waitForFact("the fault is logged", () => (bench.log.lines.some((line) => line.includes("hook.fault")) ? true : undefined));
    expect(bench.plugin.stats().refusals.get("INTERNAL_ERROR")).toBe(1);
  },
  async b70() {
    for (const reason of ["", " ", "\n", undefined]) {
      const answer = JSON.parse(renderHookAnswer({ kind: "refuse", reason } as { kind: "refuse"; reason: string }).toString());
      expect(answer).toEqual({ reject: true, reject_reason: expect.stringMatching(/^INTERNAL_ERROR: .+/) });
    }
  },
};

const used = badInputsOf("b");

it("every input of the corpus for the hook has its row, and no row is of anything else", () => {
  expect(Object.keys(rows).sort()).toEqual(used.map(({ id }) => id).sort());
});

describe("4: a bad input at the hook", () => {
  it.each(used)("$id: $input", async ({ id }) => await rows[id]?.());
});
