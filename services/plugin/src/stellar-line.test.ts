import type { Label } from "@keyhole/core";
import { expect, it } from "vitest";
import { deriveStellarLine } from "./stellar-line.ts";

const label = "gbwh4g3vbbr6v6b3h64ufofzsp7zkkuj5bqp32wd7yhpwhuubtyvrn5q" as Label;
const facts = { at: new Date("2024-01-15T10:30:00.987Z"), endpoint: "https://g.tunnel.example" };

it("a Stellar account's session is told with the names, the order and the time of HVYM's server", () => {
  expect(JSON.stringify(deriveStellarLine({ label, services: ["pintheon"] }, facts))).toBe(
    '{"timestamp":"2024-01-15T10:30:00Z","event":"tunnel_connected","stellar_address":"GBWH4G3VBBR6V6B3H64UFOFZSP7ZKKUJ5BQP32WD7YHPWHUUBTYVRN5Q","endpoint":"https://g.tunnel.example","services":["pintheon"]}',
  );
});

it("an EVM wallet's session has no such line", () => {
  expect(deriveStellarLine({ label: "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label, services: [] }, facts)).toBeUndefined();
});

it("9: what is no name of a service is not told: a client may have put anything there", () => {
  const services = ["pintheon", "t".repeat(63), "a b", `frp_${"x".repeat(40)}`, "-", "ipfs.v1"];
  expect(deriveStellarLine({ label, services }, facts)?.services).toEqual(["pintheon", "ipfs.v1"]);
});
