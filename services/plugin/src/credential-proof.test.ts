import { grant, type Label, type RefusalCode, refuse, type VanaClaim } from "@keyhole/core";
import type { LoginContent } from "@keyhole/frp";
import { describe, expect, it } from "vitest";
import type { Credential, Presented } from "./credential.ts";
import { proveCredential } from "./credential-proof.ts";
import type { LoginConnection } from "./login-connection.ts";
import { createPluginRecorder, type PluginRecorder } from "./plugin-figures.ts";
import type { Registration } from "./registration-rule.ts";

const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const owner = "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359";
const here: LoginConnection = { id: "1", source: "203.0.113.9:1", failure: undefined, retryAfterSeconds: undefined };

/** Proves a credential, and tells what was asked in which order. */
async function prove(options: {
  readonly kind?: Presented["kind"];
  readonly needs?: VanaClaim["needs"];
  readonly refused?: RefusalCode;
  readonly user?: string;
  readonly connection?: Partial<LoginConnection>;
  readonly tooMany?: "proofs" | "logins" | "signers";
  readonly said?: Registration;
  readonly requireRegistration?: boolean;
  readonly recorder?: PluginRecorder;
}): Promise<{ code: string; label: Label | undefined; asked: string[] }> {
  const asked: string[] = [];
  const { kind = "claim", needs } = options;
  const claim =
    needs === undefined
      ? {}
      : {
          claim: {
            label,
            wallet: label,
            owner,
            signer: needs === "owner-of-wallet" ? owner : label,
            issuedAt: new Date(0),
            endsAt: new Date(60_000),
            needs,
          },
        };
  const presented: Presented = {
    kind,
    check() {
      asked.push("check");
      if (options.refused !== undefined) return refuse(options.refused);
      return grant<Credential>({ label, kind, issuedAt: new Date(0), ...claim });
    },
  };
  const limited = (what: string) => (options.tooMany === what ? refuse("RATE_LIMITED", { retryAfterSeconds: 3 }).refusal : undefined);
  const { said } = options;
  const deps: Parameters<typeof proveCredential>[3] = {
    left: () => 850,
    limits: {
      judgeProof: (source) => {
        asked.push(`proofs of ${source}`);
        return limited("proofs");
      },
      countFailedProof: (source) => void asked.push(`failed ${source}`),
      takeLogin: () => {
        asked.push("logins");
        return limited("logins");
      },
      takeSigner: (address) => {
        asked.push(`signer ${address}`);
        return limited("signers");
      },
      takeProxy: () => undefined,
    },
    gateway:
      said === undefined
        ? undefined
        : {
            find: async (address) => {
              asked.push(`gateway ${address}`);
              return said;
            },
            state: () => "closed",
            close: () => {},
          },
    requireRegistration: options.requireRegistration ?? false,
    recorder: options.recorder ?? createPluginRecorder(() => 0),
  };
  const login = { user: options.user ?? "" } as LoginContent;
  const proved = await proveCredential(presented, login, Promise.resolve({ ...here, ...options.connection }), deps);
  return {
    code: proved.granted ? "proved" : proved.refusal.code,
    label: proved.granted ? proved.value.credential.label : proved.label,
    asked,
  };
}

const source = "203.0.113.9:1";

describe("the order of the questions", () => {
  it("a MAC is checked at once, whatever the connection is", async () => {
    const connection = { failure: "CLIENT_GONE", retryAfterSeconds: 3 } as const;
    expect(await prove({ kind: "hmac", connection })).toEqual({ code: "proved", label, asked: ["check", "logins"] });
    expect(await prove({ kind: "hmac", refused: "TOKEN_SIGNATURE" })).toEqual({
      code: "TOKEN_SIGNATURE",
      label: undefined,
      asked: ["check"],
    });
  });

  it.each(["jwt", "claim", "stellar-jwt"] as const)("a signature of kind %s is looked at last", async (kind) => {
    expect((await prove({ kind })).asked).toEqual([`proofs of ${source}`, "check", "logins"]);
    expect(await prove({ kind, connection: { failure: "CLIENT_GONE" } })).toEqual({ code: "CLIENT_GONE", label: undefined, asked: [] });
    expect(await prove({ kind, connection: { failure: "EDGE_SILENT" } })).toEqual({ code: "EDGE_SILENT", label: undefined, asked: [] });
    expect(await prove({ kind, connection: { retryAfterSeconds: 3 } })).toEqual({ code: "RATE_LIMITED", label: undefined, asked: [] });
    expect(await prove({ kind, tooMany: "proofs" })).toMatchObject({ code: "RATE_LIMITED", asked: [`proofs of ${source}`] });
  });

  it("a signature that was nobody's is counted; what is merely old is not", async () => {
    expect((await prove({ refused: "SIGNER_MISMATCH" })).asked).toEqual([`proofs of ${source}`, "check", `failed ${source}`]);
    expect((await prove({ refused: "CLAIM_EXPIRED" })).asked).toEqual([`proofs of ${source}`, "check"]);
  });

  it("a verification is counted by its scheme where a signature or a MAC was looked at, and nowhere else", async () => {
    const recorder = createPluginRecorder(() => 0);
    await prove({ recorder, kind: "hmac" });
    await prove({ recorder, kind: "hmac", refused: "TOKEN_SIGNATURE" });
    await prove({ recorder, kind: "jwt" });
    await prove({ recorder, refused: "SIGNER_MISMATCH" });
    await prove({ recorder, refused: "CLAIM_EXPIRED" });
    await prove({ recorder, kind: "stellar-jwt", connection: { failure: "CLIENT_GONE" } });
    expect(Object.fromEntries(recorder.read().verifications)).toEqual({
      "hmac valid": 1,
      "hmac invalid": 1,
      "tunnel-jwt valid": 1,
      "eip191 invalid": 1,
    });
  });

  it("1: another user is refused before anything is counted for the label", async () => {
    expect(await prove({ user: owner })).toEqual({ code: "USER_MISMATCH", label, asked: [`proofs of ${source}`, "check"] });
    expect((await prove({ user: label.toUpperCase() })).code).toBe("proved");
  });

  it("the registry is asked about the wallet, last of all", async () => {
    const said: Registration = { kind: "registered", owner, isRevoked: false };
    expect(await prove({ needs: "registration", said })).toMatchObject({
      code: "proved",
      asked: [`proofs of ${source}`, "check", "logins", `gateway ${label}`],
    });
    expect(await prove({ needs: "registration", said, tooMany: "logins" })).toMatchObject({
      code: "RATE_LIMITED",
      label,
      asked: [`proofs of ${source}`, "check", "logins"],
    });
    expect((await prove({ needs: "nothing", said })).asked).not.toContain(`gateway ${label}`);
  });
});

describe("an owner that signs for another wallet", () => {
  const needs = "owner-of-wallet";
  const said: Registration = { kind: "registered", owner, isRevoked: false };
  const first = [`proofs of ${source}`, "check", `signer ${owner}`];

  it("1: is counted for himself, and for the wallet only when the registry has agreed", async () => {
    expect((await prove({ needs, said })).asked).toEqual([...first, `gateway ${label}`, "logins"]);
    expect(await prove({ needs, said, tooMany: "signers" })).toEqual({ code: "RATE_LIMITED", label: undefined, asked: first });
    expect(await prove({ needs, said, tooMany: "logins" })).toMatchObject({ code: "RATE_LIMITED", label });
  });

  it("1: of whom the registry does not know it has shown nothing of the wallet, and his network has failed once more", async () => {
    const asked = [...first, `gateway ${label}`];
    const failed = [...asked, `failed ${source}`];
    expect(await prove({ needs, said: { kind: "unknown" } })).toEqual({ code: "SERVER_NOT_REGISTERED", label: undefined, asked: failed });
    expect(await prove({ needs, said: { kind: "down" } })).toEqual({ code: "GATEWAY_UNAVAILABLE", label: undefined, asked: failed });
    expect(await prove({ needs })).toEqual({ code: "GATEWAY_UNAVAILABLE", label: undefined, asked: [...first, `failed ${source}`] });
    expect(await prove({ needs, said: { kind: "pending" } })).toEqual({ code: "GATEWAY_PENDING", label: undefined, asked });
    expect(await prove({ needs, said: { ...said, isRevoked: true } })).toEqual({ code: "SERVER_REVOKED", label: undefined, asked });
    expect(await prove({ needs, said, user: owner })).toEqual({ code: "USER_MISMATCH", label: undefined, asked: first.slice(0, 2) });
  });
});

it("1: what the registry says decides; where there is none, nobody speaks for another's wallet", async () => {
  expect((await prove({ needs: "registration" })).code).toBe("proved");
  expect((await prove({ needs: "nothing", requireRegistration: true })).code).toBe("GATEWAY_UNAVAILABLE");
});
