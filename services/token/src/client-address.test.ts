import { describe, expect, it } from "vitest";
import { createClientAddressReader } from "./client-address.ts";

const read = (peer: string | undefined, headers: Record<string, string> = {}, trustedProxies: string[] = [], edgePassword = "secret") =>
  createClientAddressReader({ edgePassword, trustedProxies })({ peer, header: (name) => headers[name] });
const edge = (forwarded: string) => ({ "x-keyhole-edge": "secret", "x-forwarded-for": forwarded });

describe("whom a request is counted with", () => {
  it("is the peer, whatever it says of itself", () => {
    expect(read("::ffff:192.0.2.1", { "x-forwarded-for": "1.1.1.1" })).toBe("192.0.2.1");
    expect(read("192.0.2.1", { "x-forwarded-for": "1.1.1.1", "x-keyhole-edge": "guess" })).toBe("192.0.2.1");
    expect(read("192.0.2.1", { "x-forwarded-for": "1.1.1.1", "x-keyhole-edge": "secret, secret" })).toBe("192.0.2.1");
    expect(read(undefined)).toBe("unknown");
  });

  it("is whom the edge names, and nobody is the edge by an empty password", () => {
    expect(read("127.0.0.1", edge("1.1.1.1"))).toBe("1.1.1.1");
    expect(read(undefined, edge("2001:DB8::1"))).toBe("2001:db8::1");
    expect(read("127.0.0.1", { "x-keyhole-edge": "", "x-forwarded-for": "1.1.1.1" }, [], "")).toBe("127.0.0.1");
    expect(read("127.0.0.1", { "x-keyhole-edge": "secret" })).toBe("127.0.0.1");
  });

  it("is the right-most address that is not one of our proxies", () => {
    const proxies = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"];
    expect(read("10.1.2.3", { "x-forwarded-for": "6.6.6.6, 1.1.1.1, 10.9.9.9, 2001:db8:1::5" }, proxies)).toBe("1.1.1.1");
    expect(read("::ffff:10.1.2.3", { "x-forwarded-for": "1.1.1.1, ::ffff:192.0.2.7" }, proxies)).toBe("1.1.1.1");
    expect(read("192.0.2.8", { "x-forwarded-for": "1.1.1.1" }, proxies)).toBe("192.0.2.8");
    expect(read("10.1.2.3", { "x-forwarded-for": "10.0.0.1, 10.0.0.2" }, proxies)).toBe("10.0.0.1");
    expect(read("10.1.2.3", { "x-forwarded-for": "1.1.1.1" }, ["::ffff:10.0.0.0/104"])).toBe("1.1.1.1");
    // It could be written as an address of this network, and is none.
    expect(read("192.0.2.8", { "x-forwarded-for": "1.1.1.1" }, ["::1/64"])).toBe("192.0.2.8");
  });

  it("is unknown when whom we believe names no address: nothing further left is believed", () => {
    for (const forwarded of ["", "1.1.1.1, nonsense", "1.1.1.1,", "1.1.1.1:443", "[2001:db8::1]"]) {
      expect(read("127.0.0.1", edge(forwarded))).toBe("unknown");
    }
  });

  it("is not made of proxies that are no addresses", () => {
    for (const cidr of ["proxy.example", "10.0.0.0/99", "10.0.0.0/x"]) expect(() => read("10.0.0.1", {}, [cidr])).toThrow();
  });
});
