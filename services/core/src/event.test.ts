import { expect, test } from "vitest";
import { chainStart, type EventRecord, hashEvent, isEventName, renderCheckpoint } from "./index.ts";

const row: Omit<EventRecord, "hash"> = {
  sequence: 7,
  at: new Date("2026-11-22T12:00:00.123Z"),
  event: "token.granted",
  label: "0x00",
  detail: '{"kind":"hmac"}',
};

test("a hash says everything of its row, and the row before it", () => {
  const hash = (change: Partial<typeof row>, previous = chainStart): string =>
    Buffer.from(hashEvent(previous, { ...row, ...change })).toString("hex");
  const other = [
    hash({}),
    hash({ sequence: 8 }),
    hash({ at: new Date(row.at.getTime() + 1) }),
    hash({ event: "refused" }),
    hash({ label: undefined }),
    hash({ label: "null" }),
    hash({ detail: '{"kind":"jwt"}' }),
    hash({}, new Uint8Array(32).fill(1)),
    // What is in one field cannot be moved into the next.
    hash({ event: 'token.granted","0x00' }),
  ];
  expect(new Set(other).size).toBe(other.length);
  expect(hash({})).toBe("1eda8d1c60063d86d917bf6d2d7c2e9b081670d8f0eee46c8ca814d080e1d9f8");
});

test("the text of a checkpoint names its writer and everything of it", () => {
  const text = Buffer.from(renderCheckpoint("tokens", { sequence: 7, hash: chainStart, at: row.at })).toString();
  expect(text).toBe(`keyhole event checkpoint\nwriter: tokens\nsequence: 7\nhash: ${"0".repeat(64)}\nat: 2026-11-22T12:00:00.123Z\n`);
});

test("only what is in the list is the name of an event", () => {
  expect(["token.granted", "toString", "", "Token.granted"].map(isEventName)).toEqual([true, false, false, false]);
});
