/** The oracle of `npm run fuzz`: it sees what must not be, in subjects that are broken on purpose, and nothing in ours. */

import { parseConfig } from "@keyhole/cli";
import {
  type Identity,
  parseHost,
  parseStellarJwt,
  parseVanaClaim,
  readTicket,
  readTunnelJwt,
  readTunnelToken,
  refuse,
  type Verdict,
  verifyEd25519,
  verifyProof,
} from "@keyhole/core";
import { parseHookRequest, renderFrpcConfig, renderFrpsConfig, renderHookAnswer } from "@keyhole/frp";
import { describe, expect, it, test } from "vitest";
import type { HttpAnswer } from "./fuzz/answer-rules.ts";
import { renderFuzzReport } from "./fuzz/fuzz-report.ts";
import { type Finding, type FuzzResult, runFuzz } from "./fuzz/run-fuzz.ts";
import { shrinkInput } from "./fuzz/shrink.ts";
import { hasDuplicate, strictBase64Url } from "./fuzz/strict-forms.ts";
import type { Surface } from "./fuzz/surface.ts";
import { createConfigSurfaces } from "./fuzz/surfaces/configs.ts";
import { type CredentialReaders, createCredentialSurfaces } from "./fuzz/surfaces/credentials.ts";
import { createEd25519Surface } from "./fuzz/surfaces/ed25519.ts";
import { createHookSurface } from "./fuzz/surfaces/hook.ts";
import { createMessageSurface } from "./fuzz/surfaces/messages.ts";
import { createNameSurfaces } from "./fuzz/surfaces/names.ts";
import { createTokenSurface } from "./fuzz/surfaces/token-endpoint.ts";
import { createFuzzWorld } from "./fuzz/world.ts";
import { readAllSources } from "./support/source-text.ts";

const seed = 7;
const world = createFuzzWorld(seed);
const ours: CredentialReaders = { readTunnelToken, readTicket, readTunnelJwt, parseStellarJwt, parseVanaClaim, verifyProof };

const fuzz = (surface: Surface | undefined, inputs: number): Promise<FuzzResult> =>
  runFuzz(surface === undefined ? [] : [surface], { seed, inputs, minutes: 1, say: () => {}, signal: new AbortController().signal });

/** The findings of one reader of credentials that is broken; all others are ours. */
async function findIn(name: string, readers: Partial<CredentialReaders>, inputs = 1500): Promise<readonly Finding[]> {
  const surfaces = createCredentialSurfaces(world, { ...ours, ...readers });
  return (
    await fuzz(
      surfaces.find((surface) => surface.name === name),
      inputs,
    )
  ).findings;
}

const kinds = (findings: readonly Finding[]): string[] => [...new Set(findings.map(({ kind }) => kind))];
const words = (findings: readonly Finding[]): string => findings.map(({ what }) => what).join("\n");

describe("the oracle of credentials", () => {
  it.each(["tunnel-token", "tunnel-jwt", "stellar-jwt", "ticket", "vana-claim", "proof"])(
    "finds nothing in our reader of a %s, and sees it admit",
    async (name) => {
      const surface = createCredentialSurfaces(world).find((candidate) => candidate.name === name);
      const result = await fuzz(surface, 600);
      expect(result.findings).toEqual([]);
      expect(result.surfaces[0]?.outcomes["admitted"]).toBeGreaterThan(30);
    },
  );

  it("finds a reader that lets padding pass", async () => {
    const findings = await findIn("tunnel-token", { readTunnelToken: (text, ring) => readTunnelToken(text.replace(/=+$/, ""), ring) });
    expect(kinds(findings)).toEqual(["admission"]);
    expect(words(findings)).toContain("none of our keys made it");
  });

  it("finds a reader that trims, and one that takes upper case", async () => {
    expect(kinds(await findIn("tunnel-token", { readTunnelToken: (text, ring) => readTunnelToken(text.trim(), ring) }))).toEqual([
      "admission",
    ]);
    const lower = await findIn("tunnel-token", {
      readTunnelToken: (text, ring) =>
        readTunnelToken(
          text.replace(/[0-9a-fA-F]{64}$/, (mac) => mac.toLowerCase()),
          ring,
        ),
    });
    expect(kinds(lower)).toEqual(["admission"]);
  });

  it("finds a reader that ignores exp", async () => {
    const findings = await findIn("stellar-jwt", {
      parseStellarJwt: (text, settings) => {
        const parsed = parseStellarJwt(text, settings);
        if (parsed.granted || parsed.refusal.code !== "JWT_EXPIRED") return parsed;
        return parseStellarJwt(text, { ...settings, now: new Date(Number(parsed.refusal.facts["expiredAt"]) * 1000) });
      },
    });
    expect(words(findings)).toContain("it has expired");
  });

  it("finds a reader that takes the JWT of another server, or whose JWT names a member twice", async () => {
    const foreign = await findIn("tunnel-jwt", {
      readTunnelJwt: (text, keys, domain) => {
        const verdict = readTunnelJwt(text, keys, domain);
        return verdict.granted ? verdict : readTunnelJwt(text, [world.foreignSigningKey], domain);
      },
    });
    expect(words(foreign)).toContain("jose refuses it");
    expect([
      hasDuplicate('{"a":1,"\\u0061":2}'),
      hasDuplicate('[{"a":{"a":1}},{"a":[",a"]}]'),
      hasDuplicate('{"a":"\\"","b":{"c":1,"c":1}}'),
    ]).toEqual([true, false, true]);
  });

  it("finds a reader of tickets that takes one of another label", async () => {
    const anyLabel: CredentialReaders["readTicket"] = (label, text, ring) =>
      readTicket(label, text, ring) ??
      world.wallets.map((wallet) => readTicket(wallet.label as typeof label, text, ring)).find((ticket) => ticket !== undefined);
    expect(words(await findIn("ticket", { readTicket: anyLabel }, 400))).toContain("none of our keys made it for this label");
  });

  it("finds a claim whose owner is not compared", async () => {
    const findings = await findIn("vana-claim", {
      parseVanaClaim: (metas, settings) => {
        const bytes = strictBase64Url(metas["auth_claim"] ?? "") ?? Buffer.alloc(0);
        const owner = /"owner":"(0x[0-9a-fA-F]{40})"/.exec(bytes.toString("utf8"))?.[1] ?? "";
        return parseVanaClaim({ ...metas, owner }, settings);
      },
    });
    expect(words(findings)).toContain("owner is not the one in the metas");
  });

  it("finds a proof that is taken for another purpose, and one in the upper half", async () => {
    const both: CredentialReaders["verifyProof"] = (proof, settings) => {
      const verdict = verifyProof(proof, settings);
      return verdict.granted ? verdict : verifyProof(proof, { ...settings, purpose: "revoke" });
    };
    expect(kinds(await findIn("proof", { verifyProof: both }, 400))).toEqual(["admission"]);
    const lax: CredentialReaders["verifyProof"] = (proof, settings) => {
      const verdict: Verdict<Identity> = verifyProof(proof, settings);
      if (verdict.granted || verdict.refusal.code !== "SIGNATURE_NON_CANONICAL") return verdict;
      return { granted: true, value: { namespace: "eip155", address: Buffer.from(proof.walletAddress.slice(2), "hex") } };
    };
    expect(words(await findIn("proof", { verifyProof: lax }, 1500))).toContain("s is in the upper half");
  });

  it("finds a check of Ed25519 that takes a point of small order, or S and the order", async () => {
    const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
    const weak: typeof verifyEd25519 = (signature, message, publicKey) =>
      verifyEd25519(signature, message, publicKey) || (signature.length === 64 && isZero(signature.subarray(32)));
    expect(words((await fuzz(createEd25519Surface(world, weak), 300)).findings)).toContain("is a point of small order");
    const lax: typeof verifyEd25519 = (signature, message, publicKey) =>
      verifyEd25519(signature, message, publicKey) || (signature[63] ?? 0) >= 0x10;
    expect(words((await fuzz(createEd25519Surface(world, lax), 300)).findings)).toContain("S is not below the order");
    expect(
      kinds(
        (
          await fuzz(
            createEd25519Surface(world, () => false),
            100,
          )
        ).findings,
      ),
    ).toEqual(["refusal"]);
    expect((await fuzz(createEd25519Surface(world), 500)).findings).toEqual([]);
  });

  it("finds what is thrown, a code that the catalogue does not have, a fact that is no number, and a good one that is refused", async () => {
    const thrower = await findIn(
      "tunnel-token",
      {
        readTunnelToken: () => {
          throw new RangeError("deep inside");
        },
      },
      50,
    );
    expect(kinds(thrower)).toEqual(["crash"]);
    const refuser = (code: string, facts = {}) =>
      findIn("tunnel-token", { readTunnelToken: () => refuse(code as "TOKEN_MALFORMED", facts) }, 200);
    expect(words(await refuser("TOKEN_STRANGE"))).toContain("TOKEN_STRANGE is not in the catalogue");
    expect(words(await refuser("TOKEN_MALFORMED", { seconds: Number.NaN }))).toContain("the fact seconds, which is NaN");
    expect(kinds(await refuser("TOKEN_MALFORMED"))).toEqual(["refusal"]);
  });

  it("a surface that never admits anything has said nothing", async () => {
    const { findings } = await fuzz(
      { name: "mute", share: 1, lanes: 1, mustSee: ["admitted"], make: () => new Uint8Array(1), run: () => ({ code: "refused" }) },
      10_000,
    );
    expect(findings).toMatchObject([{ kind: "silent", what: "no input of 10000 was ever admitted" }]);
  });
});

describe("the oracle of names and configurations", () => {
  const names = (parsers: Parameters<typeof createNameSurfaces>[1], name: string) =>
    createNameSurfaces(world, parsers).find((surface) => surface.name === name);
  const ourConfigs = { renderFrpcConfig, renderFrpsConfig, parseConfig };

  it("finds a host parser that repairs", async () => {
    const broken = {
      parseHost: (header: unknown, settings: Parameters<typeof parseHost>[1]) =>
        parseHost(String(header).normalize("NFKC").trim().replace(/\.$/, ""), settings),
      parseIdentity: () => refuse("WALLET_FORMAT"),
      parseStrictJson: () => ({ kind: "not-json" }) as const,
    };
    expect(words((await fuzz(names(broken, "host"), 3000)).findings)).toMatch(/printable ASCII|another name/);
    expect(kinds((await fuzz(names(broken, "strict-json"), 200)).findings)).toEqual(["admission"]);
  });

  it("finds a renderer that lets a value reach frp's templating, and one that loses it", async () => {
    const [frpc] = createConfigSurfaces(world, {
      ...ourConfigs,
      renderFrpcConfig: (settings) => renderFrpcConfig(settings).replaceAll("\\u007b", "{"),
    });
    expect(words((await fuzz(frpc, 1000)).findings)).toContain("frp's templating would run");
    const [, frps] = createConfigSurfaces(world, {
      ...ourConfigs,
      renderFrpsConfig: (config) => renderFrpsConfig(config).replaceAll("\\u0000", ""),
    });
    expect(words((await fuzz(frps, 1000)).findings)).toContain("what is read is not what was written");
  });

  it("10: finds a configuration that would listen to the world", async () => {
    const open: typeof parseConfig = (source) => ({ ...parseConfig(source), "metrics.listen": { host: "0.0.0.0", port: 1 } });
    const surface = createConfigSurfaces(world, { ...ourConfigs, parseConfig: open })[2];
    expect(words((await fuzz(surface, 200)).findings)).toContain("metrics.listen is not on loopback");
  });

  it("4: finds an answer to frps that has another shape", async () => {
    const surface = createMessageSurface(world, {
      parseHookRequest,
      renderHookAnswer: () => Buffer.from('{"reject":false,"unchange":false,"content":null}'),
    });
    expect(words((await fuzz(surface, 300)).findings)).toContain("an admission with changes has a whole content");
    expect((await fuzz(createMessageSurface(world, { parseHookRequest, renderHookAnswer }), 300)).findings).toEqual([]);
  });
});

describe("the oracle of answers", () => {
  const problem = (code: string, status: number, members: object = {}): HttpAnswer => ({
    status,
    headers: { "content-type": "application/problem+json", "x-request-id": "1" },
    text: JSON.stringify({
      type: "about:blank",
      title: "T",
      status,
      detail: "d",
      instance: "i",
      error: "e",
      code,
      remedy: "r",
      requestId: "1",
      ...members,
    }),
  });
  const decision = (body: object): HttpAnswer => ({ status: 200, headers: {}, text: JSON.stringify(body) });
  const refusal = (reason: string): HttpAnswer => decision({ reject: true, reject_reason: reason });

  it.each([
    ["500", problem("INTERNAL_ERROR", 500), "the hook answered 500"],
    ["a fault as a refusal", refusal("INTERNAL_ERROR: We failed."), "a fault of ours"],
    ["a code of nobody", refusal("TOKEN_STRANGE: It is."), "none that the hook says"],
    ["a code of the edge alone", refusal("TUNNEL_OFFLINE: It is."), "none that the hook says"],
    ["a reason of two lines", refusal("TOKEN_EXPIRED: Token\nexpired."), "at most 200 printable"],
    ["a reason that is too long", refusal(`TOKEN_EXPIRED: ${"x".repeat(200)}`), "at most 200 printable"],
    ["an empty reason", refusal(""), "at most 200 printable"],
    ["no boolean", decision({ reject: "false", unchange: true }), "reject is no boolean"],
    ["a member too many", decision({ reject: false, unchange: true, content: {} }), "two members"],
    ["an admission of everybody", decision({ reject: false, unchange: true }), "which only our own kick may be"],
    ["a label that nobody proved", decision({ reject: false, unchange: false, content: { user: world.evm[0]?.label } }), "were admitted"],
    ["a status that is not the code's", problem("OP_UNEXPECTED", 404), "the status is not the one of the code"],
  ])("4: finds a hook that answers with %s", async (_name, answer, what) => {
    expect(
      words(
        (
          await fuzz(
            createHookSurface(world, async () => answer),
            150,
          )
        ).findings,
      ),
    ).toContain(what);
  });

  it.each([
    ["500", problem("INTERNAL_ERROR", 500), "a fault of ours"],
    ["a code of nobody", problem("STRANGE", 400), "the code is not in the catalogue"],
    ["a document without a remedy", problem("NOT_FOUND", 404, { remedy: "" }), "a member of the problem document is missing"],
    ["a page", { status: 404, headers: { "x-request-id": "1" }, text: "<h1>404</h1>" }, "no problem document"],
    ["no request id", { status: 404, headers: {}, text: "" }, "no X-Request-Id"],
    [
      "a token for everybody",
      { status: 200, headers: { "x-request-id": "1" }, text: JSON.stringify({ subdomain: world.evm[0]?.label, token: "frp_" }) },
      "was granted",
    ],
  ])("13: finds a token endpoint that answers with %s", async (_name, answer, what) => {
    expect(
      words(
        (
          await fuzz(
            createTokenSurface(world, async () => answer),
            200,
          )
        ).findings,
      ),
    ).toContain(what);
  });

  it("5: finds a proof that buys twice", async () => {
    const surface = createTokenSurface(world, async ({ body }) => {
      const { walletAddress } = JSON.parse(Buffer.from(body).toString("utf8")) as { walletAddress: string };
      return {
        status: 200,
        headers: { "x-request-id": "1" },
        text: JSON.stringify({ walletAddress, subdomain: walletAddress.toLowerCase() }),
      };
    });
    const good = world.evm[0];
    const timestamp = world.nowSeconds;
    const address = good?.address ?? "";
    const message = `Sign this message to revoke all tunnel access for your Vana Personal Server.\n\nWallet: ${address}\nTimestamp: ${timestamp}`;
    const body = JSON.stringify({ walletAddress: address, timestamp, signature: good?.sign(message) });
    const input = Buffer.from(`{"method":"POST","path":"/v1/tunnel/revoke","headers":{}}\n${body}`);
    expect(await surface.run(input)).toEqual({ code: "200 revoke" });
    expect((await surface.run(input)).problem?.what).toBe("this proof had bought something before");
  });
});

test("a finding comes with the smallest input that shows it, and with all that it takes to see it again", async () => {
  const input = Buffer.from("something long with a needle in it");
  expect(Buffer.from(await shrinkInput(input, async (candidate) => Buffer.from(candidate).includes("needle"))).toString()).toBe("needle");
  const surface: Surface = {
    name: "hay",
    share: 1,
    lanes: 1,
    mustSee: [],
    make: (prng) => Buffer.from(`${prng.between(0, 9)} needle ${"x".repeat(prng.between(0, 20))}`),
    run: (bytes) => {
      if (Buffer.from(bytes).includes("needle")) throw new Error("ouch");
      return { code: "fine" };
    },
  };
  const result = await fuzz(surface, 20);
  expect(result.findings).toMatchObject([{ kind: "crash", count: 20, input: Buffer.from("needle") }]);
  expect(renderFuzzReport(result)).toContain("again: npm run fuzz -- --seed 7 --only hay --from");
  expect(renderFuzzReport(result)).toContain(Buffer.from("needle").toString("base64"));
});

test("the oracle imports no verifier of ours: of all packages only the catalogue of refusals", () => {
  const judges = ["oracle", "strict-forms", "answer-rules", "mint", "mutate", "surfaces/hook-judge"].map((name) => `test/fuzz/${name}.ts`);
  const sources = readAllSources().filter(({ path }) => judges.includes(path));
  expect(sources).toHaveLength(judges.length);
  const imported = sources.flatMap(({ bare }) =>
    [...bare.matchAll(/import \{([^}]*)\} from "@keyhole\/[a-z]+"/g)].map((match) => match[1]?.trim()),
  );
  expect(imported).toEqual(["type RefusalCode, refusals"]);
});

test("the same seed makes the same inputs", async () => {
  const made = async (): Promise<string[]> => {
    const inputs: string[] = [];
    const [surface] = createCredentialSurfaces(createFuzzWorld(seed));
    if (surface !== undefined)
      await fuzz({ ...surface, run: (input) => ({ code: String(inputs.push(Buffer.from(input).toString("base64"))) }) }, 50);
    return inputs;
  };
  expect(await made()).toEqual(await made());
});
