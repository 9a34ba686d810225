import { expect, test } from "vitest";
import { createDeadline } from "./deadline.ts";

test("4: a call that takes too long is told once, not before its time and soon after, in the order of the calls", async () => {
  const deadline = createDeadline(100);
  const told: string[] = [];
  const startedAt = performance.now();
  const last = new Promise<void>((resolve) => {
    for (const name of ["first", "kept", "last"]) {
      const call = deadline.start(() => {
        told.push(name);
        if (name === "last") resolve();
      });
      if (name === "kept") call.finish();
    }
  });
  await last;
  expect(told).toEqual(["first", "last"]);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(99);
});

test("4: a call that starts after a pause gets its whole time too", async () => {
  const deadline = createDeadline(60);
  for (let round = 0; round < 2; round += 1) {
    const startedAt = performance.now();
    await new Promise<void>((resolve) => void deadline.start(resolve));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
  }
});

test("4: a call knows what it surely has left, down to nothing", async () => {
  const deadline = createDeadline(100);
  const left: number[] = [];
  let leftAtEnd = -1;
  await new Promise<void>((resolve) => {
    const call = deadline.start(() => {
      leftAtEnd = call.leftMs();
      resolve();
    });
    left.push(call.leftMs());
    // It is over in the middle of the other's time, and that one goes on.
    deadline.start(() => {}).finish();
    left.push(call.leftMs());
  });
  expect([left, leftAtEnd]).toEqual([[100, 100], 0]);
});
