import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWrittenBetween, parseFrpLogLine, redactFrpText } from "./log-line.ts";

const ticket = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMnOpQrStUvWxy";
const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

describe("parseFrpLogLine", () => {
  it("9: takes a line apart and puts […] where its run id was", () => {
    expect(
      parseFrpLogLine(`2026-01-31 12:00:00.123 [I] [server/control.go:761] [${ticket}] new proxy [${label}.web] type [http] success`),
    ).toEqual({
      at: "2026-01-31 12:00:00.123",
      level: "info",
      source: "server/control.go:761",
      message: `[…] new proxy [${label}.web] type [http] success`,
    });
  });

  it.each([
    [`[I] [server/control.go:544] [${ticket}] replaced by client [${ticket}] (control ID 7)`, "[…] replaced by client […] (control ID 7)"],
    ["[I] [a.go:1] [0123456789abcdef] client exit success", "[…] client exit success"],
    ["[W] [a.go:1] no client control found for run id [anything at all]", "no client control found for run id […]"],
    ["[W] [a.go:1] [x] register control error: invalid run id: what the client chose", "[…] register control error: invalid run id: […]"],
    [
      `[W] [a.go:1] token frp_MHg1YWFlYjYwNTNmM2U5NGM5YjlhMDlmMzM2Njk0MzVlN2VmMWJlYWVk_1795309034_${"0a".repeat(32)} here`,
      "token […] here",
    ],
    ["[W] [a.go:1] jwt eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln here", "jwt […] here"],
    ["[W] [a.go:1] Post http://user:secret@127.0.0.1:9/hook failed", "Post http://[…]@127.0.0.1:9/hook failed"],
    [`[I] [a.go:1] \u001b[1;34m${label}\u001b[0m\ttab`, `${label} tab`],
  ])("9: redacts %#", (rest, message) => {
    expect(parseFrpLogLine(`2026-01-31 12:00:00.123 ${rest}`).message).toBe(message);
  });

  it("keeps labels and proxy names readable", () => {
    const stellar = `g${"a".repeat(55)}`;
    for (const name of [label, stellar, `personal-server-${label}`, `${label}.web`, "ps-0a1b2c3d"])
      expect(redactFrpText(`proxy [${name}]`)).toContain(name);
  });

  it("takes what is no log line as it is, and a panic as an error", () => {
    expect(parseFrpLogLine("panic: interface conversion: interface {} is nil")).toMatchObject({
      at: undefined,
      level: "error",
      source: "",
    });
    expect(parseFrpLogLine("goroutine 7 [running]:")).toMatchObject({ level: "warn", message: "goroutine 7 [running]:" });
    expect(parseFrpLogLine("")).toEqual({ at: undefined, level: "warn", source: "", message: "" });
  });

  it("9: no ticket is in a message, wherever it stood and however long the line is", () => {
    const id = fc.string({ unit: fc.constantFrom(..."AZaz09-_"), minLength: 63, maxLength: 63 });
    const around = fc.string({
      unit: fc.oneof(fc.constantFrom(" ", "[", "]", "=", "/", ":", '"'), fc.string({ unit: "binary", minLength: 1, maxLength: 1 })),
    });
    fc.assert(
      fc.property(id, around, around, fc.integer({ min: 0, max: 17_000 }), (runId, before, after, padding) => {
        const line = `2026-01-31 12:00:00.123 [W] [a.go:1] ${"p ".repeat(padding / 2)}${before} ${runId} ${after}`;
        expect(parseFrpLogLine(line).message).not.toContain(runId);
        expect(parseFrpLogLine(`${"p ".repeat(padding / 2)}[${runId}]`).message).not.toContain(runId.slice(0, 20));
      }),
    );
  });

  it("is total, bounded, one line, and quick on hostile lines", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 3000 }), (line) => {
        const { message } = parseFrpLogLine(line);
        expect(message.length).toBeLessThanOrEqual(1000);
        expect(message).not.toMatch(/[\n\r\u001b]/);
      }),
    );
    const started = performance.now();
    for (const unit of ["a", "[", "\u001b[", "eyJ", "frp_", "//x", "0", " [I] [", "run id ["]) parseFrpLogLine(unit.repeat(200_000));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("isWrittenBetween", () => {
  const from = new Date("2026-01-31T12:00:00.000Z");
  const to = new Date("2026-01-31T12:00:02.000Z");

  it.each([
    ["2026-01-31 12:00:01.123", true],
    ["2026-01-31 11:59:55.000", true],
    ["2026-01-31 12:00:07", true],
    ["2026-01-31 12:00:06.123456789", true],
    ["2026-01-31 11:59:54.999", false],
    ["2026-01-31 12:00:07.001", false],
    ["2026-01-31 12:07:30.000", false],
    ["2026-02-31 99:99:99.000", false],
  ])("%s: %s", (at, isTimely) => {
    expect(isWrittenBetween(at, from, to)).toBe(isTimely);
  });

  it("is the same in every zone that frp may write in", () => {
    for (const at of ["2026-01-31 17:30:01.000", "2026-01-31 17:45:01.000", "2026-01-31 02:00:01.000", "2026-02-01 02:00:01.000"])
      expect(isWrittenBetween(at, from, to)).toBe(true);
  });
});
