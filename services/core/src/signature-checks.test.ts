import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { Fault, signatureBackends, testSignatureChecks } from "./index.ts";
import {
  type Ed25519,
  openFirst,
  openNativeEd25519,
  openNativeSecp256k1,
  openWasmEd25519,
  openWasmSecp256k1,
  type Secp256k1,
} from "./signature-checks.ts";

const native = { secp256k1: await openNativeSecp256k1(), ed25519: await openNativeEd25519() };
const wasm = { secp256k1: await openWasmSecp256k1(), ed25519: await openWasmEd25519() };

/** What the self-test says of libraries of which one is wrong. */
function faultOf(wrong: { secp256k1?: Partial<Secp256k1>; ed25519?: Partial<Ed25519> }): Fault {
  const libraries = { secp256k1: { ...native.secp256k1, ...wrong.secp256k1 }, ed25519: { ...native.ed25519, ...wrong.ed25519 } };
  try {
    testSignatureChecks(libraries);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("the self-test found nothing wrong");
}

/** What a process says in which these modules cannot be loaded, as where a package has no binary for the machine. */
function askWithout(modules: readonly string[], expression: string): unknown {
  const hook = `import { registerHooks } from "node:module";
    registerHooks({ resolve(specifier, context, next) {
      if (${JSON.stringify(modules)}.includes(specifier)) throw new Error("no native build was found");
      return next(specifier, context);
    } });`;
  const program = `const core = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)});
    core.testSignatureChecks();
    process.stdout.write(JSON.stringify(${expression}));`;
  const moduleUrl = `data:text/javascript,${encodeURIComponent(hook)}`;
  return JSON.parse(
    execFileSync(process.execPath, ["--import", moduleUrl, "--input-type=module", "--eval", program], { encoding: "utf8" }),
  );
}

describe("signature checks", () => {
  it("are made by native code on this machine, and pass their own test", () => {
    expect(signatureBackends()).toEqual({ secp256k1: "native", ed25519: "native" });
    expect(() => testSignatureChecks()).not.toThrow();
    expect(() => testSignatureChecks(wasm)).not.toThrow();
  });

  it.each([
    { modules: ["secp256k1/bindings.js"], backends: { secp256k1: "wasm", ed25519: "native" } },
    { modules: ["sodium-native"], backends: { secp256k1: "native", ed25519: "wasm" } },
    { modules: ["secp256k1/bindings.js", "sodium-native"], backends: { secp256k1: "wasm", ed25519: "wasm" } },
  ])("fall back to wasm in a process that cannot load $modules, and work", ({ modules, backends }) => {
    const key = JSON.stringify([...new Uint8Array(32).fill(7)]);
    const answer = askWithout(
      modules,
      `(() => {
        const seed = Uint8Array.from(${key});
        const settings = { productName: "Vana Personal Server" };
        const of = (walletAddress, sign) => {
          const order = { walletAddress, timestamp: 1 };
          return core.verifyProof({ ...order, signature: sign(core.printTunnelMessage(order, settings.productName), seed) }, settings).granted;
        };
        const evm = core.printIdentity({ namespace: "eip155", address: core.addressOfPrivateKey(seed) });
        const stellar = core.printIdentity({ namespace: "stellar", publicKey: core.publicKeyOfSeed(seed) });
        return [core.signatureBackends(), of(evm, core.signPersonalMessage), of(stellar, core.signStellarMessage)];
      })()`,
    );
    expect(answer).toEqual([backends, true, true]);
  });

  it("need one library of each curve: what the second one lacks is said when the first is not there", async () => {
    const missing = (name: string) => async (): Promise<string> => Promise.reject(new Error(name));
    await expect(openFirst(missing("first"), missing("second"))).rejects.toThrow("second");
    expect(await openFirst(missing("first"), async () => "second")).toBe("second");
    expect(await openFirst(async () => "first", missing("second"))).toBe("first");
  });

  it.each([
    { name: "a good secp256k1 signature", wrong: { secp256k1: { recover: () => undefined } } },
    {
      name: "a secp256k1 signature of another hash",
      wrong: { secp256k1: { recover: (rs: Uint8Array) => native.secp256k1.recover(rs, 0, goodHash) } },
    },
    {
      name: "a secp256k1 signature with r of 0",
      wrong: {
        secp256k1: {
          recover: (rs: Uint8Array, id: 0 | 1 | 2 | 3, hash: Uint8Array) => native.secp256k1.recover(rs, id, hash) ?? new Uint8Array(65),
        },
      },
    },
    { name: "a good Ed25519 signature", wrong: { ed25519: { verify: () => false } } },
    { name: "an Ed25519 signature of another message", wrong: { ed25519: { verify: () => true } } },
    {
      name: "an Ed25519 signature that fits every message",
      wrong: {
        ed25519: {
          verify: (signature: Uint8Array, message: Uint8Array, key: Uint8Array) =>
            key[0] === 1 || native.ed25519.verify(signature, message, key),
        },
      },
    },
  ])("that judge $name wrongly stop the process with SELF_TEST_FAILED", ({ name, wrong }) => {
    const fault = faultOf(wrong);
    expect(fault.code).toBe("SELF_TEST_FAILED");
    expect(fault.message).toContain(name);
  });
});

const goodHash = Buffer.from("a8fbaa57ead5166e642d0c635d7163ef97d8609701a076cbb951067dd8fd3729", "hex");
