/** What operators have decided about a wallet, at the token endpoint. */
import type { Standing } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "../app-for-tests.ts";
import { problemSchema } from "../openapi-schemas.ts";

const codeOf = async (answer: Response) => problemSchema.parse(await answer.json()).code;
const at = (world: { readonly now: Date }, ms: number): Date => new Date(world.now.getTime() + ms);

describe("a wallet that an operator has blocked", () => {
  it("buys no token, and its proof is not spent", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    const block = { subject: world.label, reason: "phishing", createdAt: at(world, -1000), endsAt: at(world, 1) };
    world.standing = { revocation: undefined, block };
    const answer = await world.post(order);
    expect([answer.status, await answer.clone().text()]).toEqual([403, expect.not.stringContaining("phishing")]);
    expect(await codeOf(answer)).toBe("ADDRESS_BLOCKED");
    world.now = at(world, 1);
    expect((await world.post(order)).status).toBe(200);
  });

  it("can still revoke everything that it has", async () => {
    const world = createAppForTests();
    const block = { subject: world.label, reason: "", createdAt: world.now, endsAt: undefined };
    world.standing = { revocation: undefined, block };
    expect((await world.revoke(await world.sign(undefined, undefined, "revoke"))).status).toBe(200);
  });
});

describe("a wallet whose tokens an operator has revoked", () => {
  it("6: buys nothing with what it signed before, and afterwards only what is issued later than everything revoked", async () => {
    const world = createAppForTests();
    const before = await world.sign();
    const revocation = { label: world.label, notBefore: new Date((world.nowSeconds() + 3) * 1000), at: at(world, 100) };
    world.standing = { revocation, block: undefined };
    world.now = at(world, 200);
    expect(await codeOf(await world.post(before))).toBe("TOKEN_REVOKED");
    world.now = at(world, 1000);
    expect((await world.post(await world.sign())).status).toBe(200);
    expect(world.store.records[0]?.issuedAt).toEqual(revocation.notBefore);
  });

  it("6: gets no token that was recorded while the order came, whoever was first", async () => {
    const standings: Standing[] = [{ revocation: undefined, block: undefined }];
    const world = createAppForTests({ readStanding: async () => standings.shift() ?? later });
    const later: Standing = {
      revocation: { label: world.label, notBefore: new Date((world.nowSeconds() + 3) * 1000), at: world.now },
      block: undefined,
    };
    const answer = await world.post(await world.sign());
    expect(await answer.clone().text()).not.toContain("frp_");
    expect(await codeOf(answer)).toBe("TOKEN_REVOKED");
  });
});
