import { expect, test } from "vitest";
import { chooseKeys } from "./key-choice.ts";

const at = (seconds: number): Date => new Date(1_795_343_016_000 + seconds * 1000);
const key = (madeAt: number, retiredUntil?: number) => ({
  id: `${at(madeAt).getTime()}-00000000`,
  madeAt: at(madeAt),
  retiredUntil: retiredUntil === undefined ? undefined : at(retiredUntil),
});

test.each([
  ["the newest that has waited five seconds", [key(0), key(10), key(20)], 24, 10],
  ["the newest, once it has", [key(0), key(10), key(20)], 25, 20],
  ["the retired one, while its successor waits", [key(0, 1000), key(10)], 14, 0],
  ["the retired one also when it is young itself: the others may not know its successor yet", [key(8, 1000), key(10)], 12, 8],
  ["the only one, however young", [key(10)], 10, 10],
])("%s mints", (_who, keys, now, made) => {
  expect(chooseKeys(keys, at(now)).minting?.madeAt).toEqual(at(made));
});
