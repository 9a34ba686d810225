import { describe, expect, it } from "vitest";
import { type AppForTests, createAppForTests } from "../app-for-tests.ts";
import { problemSchema, tokenGrantSchema } from "../openapi-schemas.ts";

const limits = { requestsPerMinute: 4, tokensPerMinute: 4, failedProofsPerMinute: 4, inFlight: 4 };
const turn = (world: AppForTests, seconds: number): void => {
  world.now = new Date(world.now.getTime() + seconds * 1000);
};
const issuedAtOf = ({ token }: { readonly token: string }): number => Number(token.split("_")[2]);
const codeOf = async (answer: Response): Promise<string> => problemSchema.parse(await answer.json()).code;

describe.each([
  ["five seconds", 5],
  ["an hour", 3600],
  ["a day", 86_400],
] as const)("a clock that goes back %s", (_what, seconds) => {
  it("5, 6: buys nothing for a spent proof, and no token that is issued before one that the wallet has", async () => {
    const world = createAppForTests();
    const spent = await world.sign();
    const first = issuedAtOf(tokenGrantSchema.parse(await (await world.post(spent)).json()));
    turn(world, -seconds);
    const code = await codeOf(await world.post(spent));
    expect(code).toBe(seconds > 300 ? "TIMESTAMP_IN_FUTURE" : "PROOF_ALREADY_USED");
    // Until the clock has caught up with the wallet's newest token: a lower one would lose to it.
    expect(await codeOf(await world.post(await world.sign()))).toBe("TOKENS_TOO_FAST");
    turn(world, seconds - 1);
    expect(issuedAtOf(tokenGrantSchema.parse(await (await world.post(await world.sign())).json()))).toBe(first + 1);
  });

  it("keeps no network waiting for the jump: a limit goes on from where it was", async () => {
    const world = createAppForTests({ settings: { limits } });
    for (const _ of [1, 2, 3, 4]) expect((await world.post("[]")).status).toBe(400);
    turn(world, -seconds);
    const refused = await world.post("[]");
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(15 + Math.min(seconds, 60));
    turn(world, 15 + (seconds === 5 ? 5 : 0));
    expect((await world.post("[]")).status).toBe(400);
  });
});

describe.each([
  ["an hour", 3600],
  ["a day", 86_400],
] as const)("a clock that goes forward %s", (_what, seconds) => {
  it("refuses what was signed before, with our time, and sells to whoever signs again", async () => {
    const world = createAppForTests();
    const early = await world.sign();
    turn(world, seconds);
    expect(problemSchema.parse(await (await world.post(early)).json())).toMatchObject({ code: "TIMESTAMP_STALE", skewSeconds: -seconds });
    expect((await world.post(await world.sign())).status).toBe(200);
  });
});
