import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HookAnswer, renderHookAnswer } from "./hook-answer.ts";

const read = (answer: HookAnswer) => JSON.parse(renderHookAnswer(answer).toString("utf8"));

describe("renderHookAnswer", () => {
  it("4: a reason is one line of at most 200 printable characters and never empty, whatever was said", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string({ minLength: 150, maxLength: 400 })), (reason) => {
        const answer = read({ kind: "refuse", reason });
        expect(Object.keys(answer)).toEqual(["reject", "reject_reason"]);
        expect(answer.reject).toBe(true);
        expect(answer.reject_reason).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/);
      }),
    );
  });

  it("4: a reason that is fine is said to the letter", () => {
    const reason = "TOKEN_EXPIRED: the tunnel token has expired. Sign again to get a new one.";
    expect(read({ kind: "refuse", reason })).toEqual({ reject: true, reject_reason: reason });
  });

  it("4: an empty reason, which frpc would take for success, is a fault of ours and says so", () => {
    for (const reason of ["", " \n\t", undefined, null]) {
      expect(read({ kind: "refuse", reason } as unknown as HookAnswer).reject_reason).toMatch(/^INTERNAL_ERROR: /);
    }
  });

  it("4: a reason that is too long loses its end, never its code", () => {
    const reason = `RATE_LIMITED: ${"x".repeat(300)}`;
    expect(read({ kind: "refuse", reason }).reject_reason).toBe(reason.slice(0, 200));
  });

  it("4: yes is two explicit booleans", () => {
    expect(read({ kind: "keep" })).toEqual({ reject: false, unchange: true });
  });

  it("4: another content is given whole", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue(), { minKeys: 1, noNullPrototype: true }), (content) => {
        expect(read({ kind: "replace", content })).toEqual({
          reject: false,
          unchange: false,
          content: JSON.parse(JSON.stringify(content)),
        });
      }),
    );
  });

  it("4: a content of null, of nothing or of a list is a refusal: it would kill frps or open a port", () => {
    for (const content of [null, undefined, {}, [], "x"]) {
      const answer = read({ kind: "replace", content } as unknown as HookAnswer);
      expect(answer).toMatchObject({ reject: true, reject_reason: expect.stringContaining("INTERNAL_ERROR") });
    }
  });
});
