import { expect, it } from "vitest";
import { signWithRing, verifyWithRing } from "./key-ring.ts";
import { fromHex, readVectors, type Wycheproof } from "./vectors-for-tests.ts";

const file =
  readVectors<Wycheproof<{ keySize: number; tagSize: number }, { key: string; msg: string; tag: string }>>(
    "wycheproof/hmac_sha256_test.json",
  );

it("a key ring judges every MAC of Wycheproof's hmac_sha256_test.json as it says, whole or truncated, and makes the valid ones", () => {
  const judged = file.testGroups.flatMap(({ tests }) =>
    tests.map(({ tcId, key, msg, tag, result }) => {
      const ring = { keys: [{ id: "test", secret: fromHex(key) }] } as const;
      const message = fromHex(msg).toString("latin1");
      const made = signWithRing(ring, message, "hex");
      const isKnown = verifyWithRing(ring, message, tag, "hex");
      const isKnownAsBytes = verifyWithRing(ring, message, fromHex(tag).toString("latin1"), "binary");
      return { tcId, verdict: [isKnown, isKnownAsBytes, made.startsWith(tag)], isValid: result === "valid" };
    }),
  );
  expect(judged.length).toBe(file.numberOfTests);
  expect(judged.filter(({ verdict, isValid }) => verdict.some((isAccepted) => isAccepted !== isValid))).toEqual([]);
  const sizes = new Set(file.testGroups.map(({ tagSize }) => tagSize));
  expect(sizes).toEqual(new Set([256, 128]));
});
