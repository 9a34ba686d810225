import { describe, expect, it } from "vitest";
import { isRegistryAsked, judgeRegistration, type Registration } from "./registration-rule.ts";

const owner = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const other = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const said: Readonly<Record<string, Registration>> = {
  registered: { kind: "registered", owner, isRevoked: false },
  "of another": { kind: "registered", owner: other, isRevoked: false },
  revoked: { kind: "registered", owner, isRevoked: true },
  "of another, revoked": { kind: "registered", owner: other, isRevoked: true },
  unknown: { kind: "unknown" },
  pending: { kind: "pending" },
  down: { kind: "down" },
};

const no = { none: "SERVER_NOT_REGISTERED", revoked: "SERVER_REVOKED", pending: "GATEWAY_PENDING", down: "GATEWAY_UNAVAILABLE" } as const;

describe("what the registry says about a claim", () => {
  it.each([
    ["registered", "admitted", "admitted"],
    ["of another", no.none, no.none],
    ["revoked", no.revoked, no.revoked],
    ["of another, revoked", no.none, no.none],
    ["unknown", "admitted", no.none],
    ["pending", no.pending, no.pending],
    ["down", "admitted", no.down],
  ] as const)("1: a server that is %s: its wallet's own claim is %s, and where its word is needed %s", (what, own, needed) => {
    const judge = (needs: "owner-of-wallet" | "registration" | "nothing", requireRegistration: boolean): string =>
      judgeRegistration({ owner, needs }, said[what] as Registration, { hasGateway: true, requireRegistration })?.code ?? "admitted";
    expect(judge("registration", false)).toBe(own);
    expect(judge("nothing", false)).toBe(own);
    expect(judge("owner-of-wallet", false)).toBe(needed);
    for (const needs of ["owner-of-wallet", "registration", "nothing"] as const) expect(judge(needs, true)).toBe(needed);
  });

  it.each([
    ["owner-of-wallet", true, true, true],
    ["registration", false, true, true],
    ["nothing", false, false, true],
  ] as const)("a claim that needs %s asks: without a gateway %s, with one %s, where registration is required %s", (needs, ...asked) => {
    const isAsked = (hasGateway: boolean, requireRegistration: boolean) => isRegistryAsked({ needs }, { hasGateway, requireRegistration });
    expect([isAsked(false, false), isAsked(true, false), isAsked(true, true)]).toEqual(asked);
    // Asked for where there is none, it is down: nobody is admitted by a mistake in the configuration.
    expect(isAsked(false, true)).toBe(true);
  });
});
