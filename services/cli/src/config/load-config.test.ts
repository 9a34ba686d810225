import { Fault } from "@keyhole/core";
import fc from "fast-check";
import { stringify } from "smol-toml";
import { describe, expect, it } from "vitest";
import { parseConfig } from "./load-config.ts";
import { configurationRows, environmentName } from "./settings.ts";

const parse = (text: string, env: Record<string, string> = {}) => parseConfig({ text, name: "keyhole.toml", base: "/srv/keyhole", env });
const problemsOf = (text: string, env: Record<string, string> = {}): string => {
  try {
    parse(text, env);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return `${(error as Fault).code} ${(error as Fault).message}`;
  }
};

describe("configuration", () => {
  it("has a default for everything: the embedded one, on loopback, with paths beside the file", () => {
    const config = parse("");
    expect(config).toMatchObject({
      domain: "tunnel.localhost",
      stateDir: "/srv/keyhole/.keyhole",
      "edge.listen": { host: "127.0.0.1", port: 7080 },
      "token.ttlSeconds": 86400,
      "frps.bindPort": 0,
    });
  });

  it("takes a variable before the file, and an empty one for none", () => {
    const text = '[token]\nttlSeconds = 600\nproductName = "File"';
    expect(parse(text, { KEYHOLE_TOKEN_TTL_SECONDS: "900", KEYHOLE_TOKEN_PRODUCT_NAME: "", KEYHOLE_LOG_LEVEL: "debug" })).toMatchObject({
      "token.ttlSeconds": 900,
      "token.productName": "File",
    });
    expect(environmentName("edge.appTimeoutSeconds")).toBe("KEYHOLE_EDGE_APP_TIMEOUT_SECONDS");
    expect(environmentName("stateDir")).toBe("KEYHOLE_STATE_DIR");
  });

  it("reports every problem at once, and names the key that was meant", () => {
    const problems = problemsOf('domian = "x"\n[edge]\nlisten = 7\nappTimeoutSecond = 3\n', { KEYHOLE_TOKEN_TTL: "x" });
    expect(problems).toContain("CONFIG_INVALID");
    expect(problems).toContain("domian: unknown key; did you mean domain?");
    expect(problems).toContain("edge.appTimeoutSecond: unknown key; did you mean edge.appTimeoutSeconds?");
    expect(problems).toContain("edge.listen:");
    expect(problems).toContain("KEYHOLE_TOKEN_TTL: unknown variable; did you mean KEYHOLE_TOKEN_TTL_SECONDS?");
  });

  it.each([
    ["https://x.org", "must be a lower-case domain name"],
    ["tunnel.localhost.", "must be a lower-case domain name"],
    ["Tunnel.localhost", "must be a lower-case domain name"],
    ["localhost", "must be a lower-case domain name"],
    ["*.example.org", "must be a lower-case domain name"],
    ["10.0.0.1", "must be a name, not an IP address"],
    ["kh.example.org", "at least 15 letters"],
  ])("refuses the domain %s", (domain, why) => {
    expect(problemsOf(`domain = "${domain}"`)).toContain(why);
  });

  it.each([
    ['[token]\nlisten = "0.0.0.0:8787"', "must be on loopback"],
    ['[metrics]\nlisten = "10.0.0.1:9400"', "must be on loopback"],
    ['[edge]\nlisten = "127.0.0.1:70000"', "host:port"],
    ['[edge]\ncertFile = "a.pem"', "set both"],
    ['[edge]\npublicUrl = "https://{label}.elsewhere.example"', "must be of the domain"],
    ['[edge]\npublicUrl = "https://tunnel.localhost"', "{label}"],
    ['[edge]\nlisten = "127.0.0.1:8787"', "is token.listen's already"],
    ["[frps]\nbindPort = 7000", "is control.listen's already"],
    ["version = 2", "version"],
    ["[token]\nttlSeconds = 1.5", "token.ttlSeconds"],
    ["[token]\nttlSeconds = -5", "token.ttlSeconds"],
    ["a = [", "not valid TOML"],
  ])("refuses %j", (text, why) => {
    expect(problemsOf(text)).toContain(why);
  });

  it("10: keeps token service, hook and metrics on loopback whatever is written", () => {
    for (const key of ["token.listen", "plugin.listen", "metrics.listen"])
      expect(problemsOf(`${key} = "0.0.0.0:1234"`)).toContain("must be on loopback");
  });

  it("reads any table without crashing: a configuration or a fault", () => {
    const keys = fc.constantFrom("domain", "edge", "token", "frps", "stateDir", "__proto__", "constructor", "x");
    fc.assert(
      fc.property(
        fc.dictionary(keys, fc.oneof(fc.string(), fc.integer(), fc.dictionary(keys, fc.oneof(fc.string(), fc.integer())))),
        (table) => void problemsOf(stringify(table)),
      ),
      { numRuns: 200 },
    );
  });

  it("describes every setting for the manual", () => {
    for (const row of configurationRows()) {
      expect(row.meaning).toMatch(/\.$/);
      expect(row.env).toMatch(/^KEYHOLE_[A-Z_]+$/);
    }
  });
});
