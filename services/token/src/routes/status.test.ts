import { identityOfLabel, type Label, printIdentity, type TunnelStatus } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "../app-for-tests.ts";
import { problemSchema, statusSchema } from "../openapi-schemas.ts";

const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const printed = printIdentity(identityOfLabel(label));
const tunnelUrl = `http://${label}.tunnel.localhost:7080`;
const never = { status: "disconnected", state: "offline", lastSeen: null, reason: "NEVER_SEEN" } as const;
const at = (text: string) => new Date(text);

function createWithStatus(status: TunnelStatus) {
  const asked: Label[] = [];
  const world = createAppForTests({
    readStatus: async (asking) => {
      asked.push(asking);
      return status;
    },
  });
  return { world, asked, read: async (address = printed) => (await world.app.request(`/v1/tunnel/status/${address}`)).json() };
}

describe("GET /v1/tunnel/status/{walletAddress}", () => {
  it("a served address has the promised shape, and routable, asOf and stale", async () => {
    const { read } = createWithStatus({
      status: "connected",
      state: "routable",
      connectedSince: at("2026-02-04T10:30:00.900Z"),
      routable: true,
      reason: undefined,
      asOf: at("2026-02-04T10:30:15.700Z"),
      stale: false,
    });
    const answer = await read(label);
    expect(answer).toEqual({
      walletAddress: printed,
      tunnelUrl,
      status: "connected",
      connectedSince: "2026-02-04T10:30:00Z",
      routable: true,
      asOf: "2026-02-04T10:30:15Z",
      stale: false,
    });
    expect(statusSchema.safeParse(answer).success).toBe(true);
  });

  it("a tunnel that does not reach its app says why", async () => {
    const { read } = createWithStatus({
      status: "connected",
      state: "connected",
      connectedSince: at("2026-02-04T10:30:00Z"),
      routable: false,
      reason: "APP_UNREACHABLE",
      asOf: at("2026-02-04T10:30:15Z"),
      stale: false,
    });
    const answer = await read();
    expect(answer).toMatchObject({ status: "connected", routable: false, reason: "APP_UNREACHABLE" });
    expect(statusSchema.safeParse(answer).success).toBe(true);
  });

  it("an address that is not served was last seen to the hour only", async () => {
    const { read } = createWithStatus({
      status: "disconnected",
      state: "offline",
      lastSeen: at("2026-02-04T08:59:59.999Z"),
      reason: "LOST",
      asOf: at("2026-02-04T10:00:00Z"),
      stale: true,
    });
    const answer = await read();
    expect(answer).toEqual({
      walletAddress: printed,
      tunnelUrl,
      status: "disconnected",
      lastSeen: "2026-02-04T08:00:00Z",
      routable: false,
      reason: "LOST",
      asOf: "2026-02-04T10:00:00Z",
      stale: true,
    });
    expect(statusSchema.safeParse(answer).success).toBe(true);
  });

  it("an address that nobody used is disconnected, last seen null; a Stellar account may be asked for as well", async () => {
    const { read } = createWithStatus({ ...never, asOf: at("2026-02-04T10:00:00Z"), stale: false });
    expect(await read()).toMatchObject({ status: "disconnected", lastSeen: null, reason: "NEVER_SEEN" });
    const account = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
    expect(await read(account)).toMatchObject({
      walletAddress: account,
      tunnelUrl: `http://${account.toLowerCase()}.tunnel.localhost:7080`,
    });
  });

  it("all spellings of an address ask the plugin once in half a second", async () => {
    const { world, asked, read } = createWithStatus({
      ...never,
      asOf: at("2026-02-04T10:00:00Z"),
      stale: false,
    });
    await Promise.all([read(label), read(printed), read(label)]);
    expect(asked).toEqual([label]);
    world.now = new Date(world.now.getTime() + 500);
    await read(label);
    expect(asked).toEqual([label, label]);
  });

  it("an address that is none is 400, with the reason", async () => {
    const { world, asked } = createWithStatus({ ...never, asOf: at("2026-02-04T10:00:00Z"), stale: false });
    for (const [address, code] of [
      ["nobody", "WALLET_FORMAT"],
      [`${printed.slice(0, -1)}D`, "WALLET_CHECKSUM"],
      [`${label}0`, "WALLET_FORMAT"],
      ["__proto__", "WALLET_FORMAT"],
    ]) {
      const answer = await world.app.request(`/v1/tunnel/status/${address}`);
      expect([address, answer.status, problemSchema.parse(await answer.json()).code]).toEqual([address, 400, code]);
    }
    expect(asked).toEqual([]);
  });

  it("an address has one spelling in a path as well: what is escaped is not found", async () => {
    const { world, asked } = createWithStatus({ ...never, asOf: at("2026-02-04T10:00:00Z"), stale: false });
    for (const address of ["%2e%2e%2f", "%FF%00", label.replace("0x", "%30x"), "", "a/b"]) {
      const answer = await world.app.request(`/v1/tunnel/status/${address}`);
      expect([address, answer.status, problemSchema.parse(await answer.json()).code]).toEqual([address, 404, "NOT_FOUND"]);
    }
    expect(asked).toEqual([]);
  });

  it("when the truth cannot be asked, it is 503 and not a guess", async () => {
    const world = createAppForTests({ readStatus: () => Promise.reject(new Error("socket closed")) });
    const answer = await world.app.request(`/v1/tunnel/status/${label}`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });
});
