/**
 * What this package's tests stand on: a folder that goes away, a log that says nothing, labels, what most orders say, and a
 * fault by its code.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Fault, type Label, parseLabel } from "@keyhole/core";

/** A folder of its own for one test, removed with all that is in it. */
export function openTemporaryFolder(): { readonly path: string; file(name: string): string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "keyhole-store-"));
  return { path, file: (name) => join(path, name), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const say = (): void => undefined;

/** A log that nobody reads. */
export const silentLog = { debug: say, info: say, warn: say, error: say };

/** The label of the n-th made-up EVM account. */
export function labelOf(number: number): Label {
  const label = parseLabel(`0x${number.toString(16).padStart(40, "0")}`);
  if (label === undefined) throw new Error("a made-up label is one");
  return label;
}

/** What an order says besides whose it is, when, and with which proof. */
export const plainOrder = { kind: "hmac", ttlSeconds: 60, keyId: "key-1", isExclusive: false, repeat: undefined } as const;

/** The fault that a promise ends with; anything else fails the test. */
export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    (value) => new Error(`no fault, but ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (error instanceof Fault) return error;
  throw error;
}

/** Looks again and again, for two seconds, until `look` does not throw: what is behind a glance shows a moment later. */
export async function eventually<T>(look: () => Promise<T>): Promise<T> {
  for (let attempts = 200; ; attempts -= 1) {
    try {
      return await look();
    } catch (error) {
      if (attempts === 0) throw error;
      await setTimeout(10);
    }
  }
}
