import { describe, expect, it } from "vitest";
import { createMaskCounter, maskHost } from "./host-mask.ts";

describe("the letter case of a host", () => {
  // The poorest label there is: its x is the only letter that every EVM label has.
  const host = `0x${"0".repeat(40)}.tunnel.localhost`;

  it("1: is another one for each of 65,536 registrations in a row, and the same host to whoever ignores case", () => {
    const next = createMaskCounter(1_795_309_034_123);
    const seen = new Set<string>();
    for (let count = 0; count < 65_536; count += 1) seen.add(maskHost(host, next()));
    expect(seen.size).toBe(65_536);
    expect(new Set([...seen].map((masked) => masked.toLowerCase()))).toEqual(new Set([host]));
  });

  it("2: is not repeated by a process that starts within a minute of the last one", () => {
    const started = 1_795_309_034_123;
    const former = createMaskCounter(started);
    const seen = new Set(Array.from({ length: 1000 }, () => maskHost(host, former())));
    const next = createMaskCounter(started + 1001);
    for (let count = 0; count < 1000; count += 1) expect(seen.has(maskHost(host, next()))).toBe(false);
  });
});
