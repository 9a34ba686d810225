/** The test of the signature checks at the start of each part that relies on them. */
import { signatureBackends, testSignatureChecks } from "@keyhole/core";
import type { Log } from "../log.ts";

/** Tests them with known vectors, and tells which libraries are in use. Throws `Fault("SELF_TEST_FAILED")`. */
export function testSignatures(log: Log): void {
  testSignatureChecks();
  const backends = signatureBackends();
  const fields = { event: "signatures.tested", ...backends };
  if (Object.values(backends).includes("wasm"))
    log.warn(
      fields,
      "the signature checks are right, but slower than they can be: no native library fits this machine. Run: npm run setup",
    );
  else log.info(fields, "the signature checks are right, by native libraries");
}
