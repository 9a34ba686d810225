import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { deriveFrpsConfig, type FrpsSettings, renderFrpsConfig } from "./frps-config.ts";

const port = fc.integer({ min: 1, max: 65_535 });
const text = fc.string({ unit: "binary", minLength: 1 });
const settings: fc.Arbitrary<FrpsSettings> = fc.record({
  bindPort: port,
  vhostHttpPort: port,
  vhostHttpTimeoutSeconds: fc.integer({ min: 1, max: 3600 }),
  dashboardPort: port,
  dashboardUser: text,
  dashboardPassword: text,
  hookPort: port,
  hookUser: text,
  hookPassword: text,
});

describe("the config of frps", () => {
  it("8: is the same after rendering and parsing, and never reaches the templating", () => {
    fc.assert(
      fc.property(settings, (value) => {
        const config = deriveFrpsConfig(value);
        const rendered = renderFrpsConfig(config);
        expect(parse(rendered)).toEqual(config);
        expect(rendered).not.toContain("{{");
      }),
    );
  });

  it("10: listens on loopback only, whatever the settings", () => {
    fc.assert(
      fc.property(settings, (value) => {
        const config = deriveFrpsConfig(value);
        expect([config.bindAddr, config.proxyBindAddr, config.webServer.addr]).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
        expect(new URL(config.httpPlugins[0]!.addr).hostname).toBe("127.0.0.1");
      }),
    );
  });

  it("carries the hook's user and password whole, as userinfo of a URL", () => {
    fc.assert(
      fc.property(settings, (value) => {
        const url = new URL(deriveFrpsConfig(value).httpPlugins[0]!.addr);
        expect(decodeURIComponent(url.username)).toBe(value.hookUser);
        expect(decodeURIComponent(url.password)).toBe(value.hookPassword);
      }),
    );
  });

  it("refuses port 0, which frps would replace by its default, and an empty password", () => {
    const [good] = fc.sample(settings, 1);
    for (const name of ["bindPort", "vhostHttpPort", "dashboardPort", "hookPort"] as const) {
      expect(() => deriveFrpsConfig({ ...good!, [name]: 0 })).toThrow(name);
    }
    expect(() => deriveFrpsConfig({ ...good!, dashboardPassword: "" })).toThrow("password");
    expect(() => deriveFrpsConfig({ ...good!, hookPassword: "" })).toThrow("password");
  });
});
