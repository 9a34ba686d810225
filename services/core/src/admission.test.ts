import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AdmissionFacts,
  type CredentialKind,
  decideAdmission,
  isSelfSigned,
  type Label,
  type LivingSession,
  parseLabel,
  type TokenRecord,
} from "./index.ts";

const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const at = (seconds: number): Date => new Date(1_800_000_000_000 + seconds * 1000);
const token = (issued: number, ends: number): TokenRecord => ({ label, kind: "hmac", issuedAt: at(issued), expiresAt: at(ends) });
const credential = (issued: number, ends: number) => ({ kind: "hmac" as const, issuedAt: at(issued), endsAt: at(ends) });
const ticket = (generation: number, issued = 0) => ({ generation, issuedAt: at(issued), endsAt: at(3600), kind: "hmac" as const });
const living = (generation: number, issued: number): LivingSession => ({ generation, issuedAt: at(issued) });

/** A good token, bought at 0 and good for an hour, presented by a new client at second 100. */
const good: AdmissionFacts = {
  now: at(100),
  isBlocked: false,
  credential: credential(0, 3600),
  notBefore: undefined,
  newest: token(0, 3600),
  newestIssuedAt: undefined,
  ticket: undefined,
  recordedIssuedAt: undefined,
  living: [],
  highestGeneration: 0,
};
const decide = (facts: Partial<AdmissionFacts>): string => {
  const verdict = decideAdmission({ ...good, ...facts });
  if (!verdict.granted) return verdict.refusal.code;
  return verdict.value.displaces.length > 0 ? `displaces ${verdict.value.displaces.join(" and ")}` : "admitted";
};

describe("the decision table of admission", () => {
  it("row 1: a blocked label or source is refused", () => {
    expect(decide({ isBlocked: true, ticket: ticket(5) })).toBe("ADDRESS_BLOCKED");
  });
  it("row 2: a credential issued before not-before is refused, with a ticket too", () => {
    expect(decide({ notBefore: at(1) })).toBe("TOKEN_REVOKED");
    expect(decide({ notBefore: at(1), ticket: ticket(5) })).toBe("TOKEN_REVOKED");
    expect(decide({ notBefore: at(0) })).toBe("admitted");
  });
  it("row 3: past the deadline is refused, with a ticket or without", () => {
    expect(decide({ now: at(3600) })).toBe("TOKEN_EXPIRED");
    expect(decide({ now: at(3600), ticket: ticket(5) })).toBe("TOKEN_EXPIRED");
    expect(decide({ now: at(3599) })).toBe("admitted");
  });
  it("row 4: a new client with an expired token is refused, though the label bought a newer one", () => {
    expect(decide({ now: at(3600), newest: token(3000, 6600) })).toBe("TOKEN_EXPIRED");
  });
  it("row 5: a client that comes back is admitted on a newer token of its kind, since frpc keeps its first for ever", () => {
    expect(decide({ now: at(3600), newest: token(3000, 6600), ticket: ticket(5) })).toBe("admitted");
    expect(decide({ now: at(3600), newest: token(3000, 6600), ticket: ticket(5), living: [living(4, 0)] })).toBe("displaces 4");
    expect(decide({ now: at(3600), newest: token(3000, 6600), ticket: ticket(5), living: [living(6, 3000)] })).toBe(
      "NEWER_CREDENTIAL_IN_USE",
    );
  });
  it("row 6: a good token of a new client is admitted in the next generation", () => {
    const verdict = decideAdmission({ ...good, highestGeneration: at(100).getTime() + 5 });
    expect(verdict.granted && verdict.value).toEqual({
      generation: at(100).getTime() + 6,
      issuedAt: at(0),
      endsAt: at(3600),
      isResumed: false,
      displaces: [],
    });
  });
  it("row 7: a new client displaces one whose token is not newer", () => {
    expect(decide({ living: [living(5, 0)] })).toBe("displaces 5");
    expect(decide({ living: [living(5, -10)] })).toBe("displaces 5");
  });
  it("row 8: an older token does not push a newer one out", () => {
    expect(decide({ living: [living(5, 10)] })).toBe("NEWER_CREDENTIAL_IN_USE");
    expect(decide({ living: [living(5, 10)], ticket: ticket(6) })).toBe("NEWER_CREDENTIAL_IN_USE");
  });
  it("row 9: the same ticket replaces its own half-open session", () => {
    expect(decide({ living: [living(5, 0)], ticket: ticket(5) })).toBe("admitted");
  });
  it("row 10: a ticket with nobody living is admitted in its own generation", () => {
    const verdict = decideAdmission({ ...good, ticket: ticket(5) });
    expect(verdict.granted && [verdict.value.generation, verdict.value.isResumed]).toEqual([5, true]);
  });
  it("row 11: a ticket displaces a lower generation", () => {
    expect(decide({ living: [living(4, 0)], ticket: ticket(5) })).toBe("displaces 4");
  });
  it("row 12: a ticket does not displace a higher generation of the same token", () => {
    expect(decide({ living: [living(6, 0)], ticket: ticket(5) })).toBe("REPLACED_BY_NEWER_CLIENT");
  });
  it("row 13: a ticket with a newer token displaces a higher generation", () => {
    expect(decide({ credential: credential(50, 3650), newest: token(50, 3650), living: [living(6, 0)], ticket: ticket(5) })).toBe(
      "displaces 6",
    );
  });
  it("row 14: of two new clients the later generation holds", () => {
    const first = decideAdmission(good);
    const firstGeneration = first.granted ? first.value.generation : 0;
    const second = decideAdmission({ ...good, living: [living(firstGeneration, 0)], highestGeneration: firstGeneration });
    expect(second.granted && second.value.displaces).toEqual([firstGeneration]);
    expect(second.granted && second.value.generation).toBeGreaterThan(firstGeneration);
  });

  it("a renewal that was recorded for a generation outranks a thief who slipped in with the first token", () => {
    expect(decide({ ticket: ticket(5), recordedIssuedAt: at(60), living: [living(6, 0)] })).toBe("displaces 6");
  });
  it("a ticket older than not-before is worth as much as none", () => {
    expect(
      decide({
        notBefore: at(20),
        credential: credential(30, 3630),
        newest: token(30, 3630),
        ticket: ticket(5, 10),
        living: [living(6, 30)],
      }),
    ).toBe("displaces 6");
  });
  it("a ticket of not-before itself or later keeps its own generation, and lives on what its label bought", () => {
    const facts = { notBefore: at(20), credential: credential(20, 3620), newest: token(3000, 6600), living: [living(6, 20)] };
    for (const issued of [20, 25]) {
      expect(decide({ ...facts, ticket: ticket(5, issued) })).toBe(issued === 20 ? "REPLACED_BY_NEWER_CLIENT" : "displaces 6");
      expect(decide({ ...facts, ticket: ticket(7, issued), now: at(3620) })).toBe("displaces 6");
    }
    expect(decide({ ...facts, ticket: ticket(7, 19), now: at(3620) })).toBe("TOKEN_EXPIRED");
  });
  it("an issued-at ahead of our clock counts as now on both sides, and far ahead is refused", () => {
    const ahead = { credential: credential(101, 3701), newest: token(101, 3701) };
    expect(decide({ ...ahead, living: [living(5, 101)] })).toBe("displaces 5");
    expect(decide({ living: [living(5, 101)] })).toBe("NEWER_CREDENTIAL_IN_USE");
    expect(decide({ ...ahead, ticket: ticket(4), living: [living(5, 102)] })).toBe("REPLACED_BY_NEWER_CLIENT");
    expect(decide({ credential: credential(103, 3703) })).toBe("TOKEN_NOT_YET_VALID");
  });
});

describe.each([
  ["claim", "CLAIM_EXPIRED", "CLOCK_SKEW"],
  ["stellar-jwt", "JWT_EXPIRED", "JWT_NOT_YET_VALID"],
] as const)("a credential that its holder signed alone: %s", (kind, expired, early) => {
  const signed = (issued: number, ends = 500) => ({
    credential: { kind, issuedAt: at(issued), endsAt: at(ends) },
    newest: undefined,
  });
  it("row 3: past its end is refused in the words of its kind", () => {
    expect(decide({ ...signed(0, 100) })).toBe(expired);
    expect(decide({ ...signed(0, 101) })).toBe("admitted");
    expect(decide({ ...signed(0, 100), ticket: { ...ticket(5), kind } })).toBe(expired);
  });
  it("may lie a minute ahead of our clock, and no further", () => {
    expect(decide({ ...signed(160) })).toBe("admitted");
    expect(decide({ ...signed(161) })).toBe(early);
  });
  it("ahead of our clock counts as now, so it does not outrank the next one", () => {
    expect(decide({ ...signed(100), living: [living(5, 150)] })).toBe("displaces 5");
  });
  it("row 2: before not-before is refused, and so is what a fast clock may have dated after it: a minute's worth", () => {
    expect(decide({ ...signed(50), notBefore: at(51) })).toBe("TOKEN_REVOKED");
    expect(decide({ ...signed(110), notBefore: at(51) })).toBe("TOKEN_REVOKED");
    expect(decide({ ...signed(111), notBefore: at(51) })).toBe("admitted");
  });
  it("2: older than the newest that was ever admitted is refused, whoever lives, with its ticket or without", () => {
    expect(decide({ ...signed(49), newestIssuedAt: at(50) })).toBe("CREDENTIAL_OUTDATED");
    expect(decide({ ...signed(49), newestIssuedAt: at(50), living: [living(5, 49)] })).toBe("CREDENTIAL_OUTDATED");
    expect(decide({ ...signed(49), newestIssuedAt: at(50), ticket: { ...ticket(5, 49), kind } })).toBe("CREDENTIAL_OUTDATED");
    expect(decide({ ...signed(50), newestIssuedAt: at(50) })).toBe("admitted");
    expect(decide({ ...signed(51), newestIssuedAt: at(50) })).toBe("admitted");
  });
});

describe("a tunnel token", () => {
  it.each(["hmac", "jwt"] as const)("%s is not outdated by a newer one: its session is, by rank", (kind) => {
    expect(decide({ credential: { ...credential(0, 3600), kind }, newestIssuedAt: at(50) })).toBe("admitted");
    expect(decide({ credential: { ...credential(0, 100), kind }, newest: undefined })).toBe("TOKEN_EXPIRED");
    expect(decide({ credential: { ...credential(103, 3600), kind } })).toBe("TOKEN_NOT_YET_VALID");
  });
});

it("2: only what its holder signs alone is known as a leftover by the newest that was admitted", () => {
  expect(["hmac", "jwt", "claim", "stellar-jwt"].filter((kind) => isSelfSigned(kind as CredentialKind))).toEqual(["claim", "stellar-jwt"]);
});

describe("2: admission as a whole", () => {
  it("2: any number of clients that retry for ever settle on one holder, who is of the highest rank", () => {
    type Client = { issued: number; generation: number | undefined };
    const clients = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(clients, fc.array(fc.nat(5), { maxLength: 60 }), (issues, order) => {
        const all: Client[] = issues.map((issued) => ({ issued, generation: undefined }));
        let holder: { client: Client; generation: number; issuedAt: Date } | undefined;
        let highest = 0;
        let changes = 0;
        const login = (client: Client): void => {
          const verdict = decideAdmission({
            ...good,
            credential: credential(client.issued, 3600),
            ticket: client.generation === undefined ? undefined : ticket(client.generation, client.issued),
            living: holder === undefined ? [] : [{ generation: holder.generation, issuedAt: holder.issuedAt }],
            highestGeneration: highest,
          });
          if (!verdict.granted) return;
          if (holder?.client !== client) changes += 1;
          client.generation = verdict.value.generation;
          highest = Math.max(highest, verdict.value.generation);
          holder = { client, generation: verdict.value.generation, issuedAt: verdict.value.issuedAt };
        };
        for (const index of order) login(all[index % all.length] as Client);
        for (const client of all) login(client);
        // From here on everybody has had a login; who was displaced retries with what it has.
        changes = 0;
        for (let round = 0; round < 5; round += 1) for (const client of all) if (client.generation !== undefined) login(client);
        expect(changes).toBeLessThanOrEqual(all.length);
        changes = 0;
        for (let round = 0; round < 5; round += 1) for (const client of all) if (client.generation !== undefined) login(client);
        expect(changes).toBe(0);
        expect(holder?.client.issued).toBe(Math.max(...issues));
      }),
    );
  });
});
