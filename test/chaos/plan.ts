/**
 * What a run will do, drawn from the seed alone: rounds, each with what is killed when, and what people do meanwhile.
 * Scenarios are dealt from a shuffled deck, so that every kind comes before any comes twice.
 */
import { parts } from "../support/keyhole-parts.ts";
import { type Target, targets } from "./history.ts";
import type { Prng } from "./prng.ts";

/** One kill -9. A client or its wallet is chosen by `dice` among those that are there then. */
export type Kill = {
  readonly target: Target;
  readonly atMs: number;
  /** After this the keeper starts it again, as systemd would. */
  readonly restartMs: number;
  readonly dice: number;
};

/** What people do: start a second device (with the file they have, or a newer token), stop one, freeze one, ask for tokens. */
export type Deed = {
  readonly what: (typeof deedNames)[number];
  readonly atMs: number;
  readonly forMs: number;
  readonly dice: number;
};

/** All of it. The last seven are what owners and operators order. */
export const deedNames = [
  "take-over",
  "take-over-newer",
  "stop-older",
  "stop-newer",
  "freeze",
  "renew",
  "repeat-proof",
  "owner-revoke",
  "revoke",
  "kick",
  "block",
  "back-up",
  "restore",
] as const;

export type Round = {
  readonly name: string;
  readonly kills: readonly Kill[];
  readonly deeds: readonly Deed[];
  /** Before the next one: mostly little, so that rounds overlap in their effects; at times enough for every late effect. */
  readonly restMs: number;
};

type Scenario = (random: Prng) => Pick<Round, "name"> & { readonly kills: readonly Kill[]; readonly deeds?: readonly Deed[] };

const restartMost = 500;
const kill = (random: Prng, target: Target, atMs: number): Kill => ({
  target,
  atMs,
  restartMs: random.between(0, target === "frpc" ? 300 : restartMost),
  dice: random.next(),
});
const deed = (random: Prng, what: Deed["what"], atMs: number): Deed => ({
  what,
  atMs,
  forMs: random.between(300, 4000),
  dice: random.next(),
});

/** A client needs about so long from its start to its takeover: kills fall in, before and after it. */
const takeoverMs = (random: Prng): number => random.between(10, 400);

const inTakeover =
  (target: Target): Scenario =>
  (random) => ({
    name: `${target} in a takeover`,
    kills: [kill(random, target, 100 + takeoverMs(random))],
    deeds: [deed(random, random.pick(["take-over", "take-over-newer"]), 100)],
  });

/** Somebody orders, and whoever has to carry it out is killed about then. */
const inOrder =
  (what: Deed["what"], target: Target): Scenario =>
  (random) => ({
    name: `${target} in an order to ${what}`,
    kills: [kill(random, target, random.between(50, 700))],
    deeds: [deed(random, what, 0)],
  });

const atOnce =
  (...together: readonly Target[]): Scenario =>
  (random) => ({
    name: `${together.join(" and ")} at once`,
    kills: random.shuffle(together).map((target) => kill(random, target, 100 + random.between(0, 5))),
  });

const severalAtRandom =
  (count: number): Scenario =>
  (random) => ({
    name: `${count} at random`,
    kills: random
      .shuffle(targets)
      .slice(0, count)
      .map((target) => kill(random, target, random.between(0, 1500))),
  });

const deck: readonly Scenario[] = [
  ...targets.map(
    (target): Scenario =>
      (random) => ({ name: `${target} alone`, kills: [kill(random, target, random.between(0, 300))] }),
  ),
  atOnce("plugin", "frps"),
  atOnce("supervisor", "frps"),
  atOnce("edge", "plugin"),
  atOnce("edge", "token", "plugin", "supervisor", "frps"),
  inTakeover("edge"),
  inTakeover("plugin"),
  inTakeover("frps"),
  (random) => ({
    name: "token service in a token request",
    kills: [kill(random, "token", 100 + random.between(0, 15))],
    deeds: [deed(random, "renew", 100), deed(random, "renew", 100), deed(random, "renew", 104)],
  }),
  (random) => {
    const target = random.pick(parts);
    return { name: `${target} again while it starts`, kills: [kill(random, target, 0), kill(random, target, random.between(300, 1800))] };
  },
  (random) => ({
    name: "supervisor while it starts frps",
    kills: [kill(random, "frps", 0), kill(random, "supervisor", random.between(5, 800))],
  }),
  (random) => ({
    name: "a frozen client is taken over",
    kills: [kill(random, random.pick(targets), random.between(300, 2000))],
    deeds: [deed(random, "freeze", 0), deed(random, "take-over", 100)],
  }),
  severalAtRandom(2),
  severalAtRandom(3),
  inOrder("revoke", "plugin"),
  inOrder("block", "plugin"),
  inOrder("block", "edge"),
  inOrder("owner-revoke", "token"),
  inOrder("owner-revoke", "plugin"),
  (random) => ({
    name: "a backup is put in place",
    kills: [kill(random, "edge", random.between(300, 2000))],
    deeds: [deed(random, "restore", 0)],
  }),
];

/** Deals rounds for ever. */
export function* dealRounds(random: Prng): Generator<Round, never> {
  for (;;) {
    for (const scenario of random.shuffle(deck)) {
      const { name, kills, deeds = [] } = scenario(random);
      yield { name, kills, deeds: [...deeds, ...drawDeeds(random)], restMs: drawRest(random) };
    }
  }
}

const drawRest = (random: Prng): number => (random.chance(0.1) ? random.between(8000, 13_000) : random.between(0, 2000));

/** What people do beside it. */
function drawDeeds(random: Prng): Deed[] {
  const deeds: Deed[] = [];
  const add = (share: number, what: Deed["what"]): void => {
    if (random.chance(share)) deeds.push(deed(random, what, random.between(0, 1500)));
  };
  add(0.35, random.pick(["take-over", "take-over-newer"]));
  add(0.2, "take-over");
  add(0.35, random.pick(["stop-older", "stop-newer"]));
  add(0.4, "repeat-proof");
  add(0.3, "renew");
  add(0.12, "freeze");
  add(0.08, "owner-revoke");
  add(0.08, random.pick(["revoke", "block"]));
  add(0.06, "kick");
  add(0.06, "back-up");
  return deeds;
}
