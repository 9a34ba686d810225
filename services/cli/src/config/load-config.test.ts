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

const nest = (key: string, value: unknown): [string, unknown] => {
  const [section = "", name = ""] = key.split(".");
  return [section, { [name]: value }];
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

  it("says every problem in words of its own, whatever stands in a setting's place", () => {
    for (const { key } of configurationRows())
      for (const value of [-1, 1.5, 1e9, "", true, [], [1], [true], {}, new Date(0)]) {
        const problems = problemsOf(stringify(Object.fromEntries([key.includes(".") ? nest(key, value) : [key, value]])));
        expect(problems).not.toMatch(/Invalid|expected|Too (?:small|big)|received/);
        if (problems !== "") expect(problems).toContain(`${key}: `);
      }
  });

  it("tells what two settings say together beside what one of them says alone", () => {
    const problems = problemsOf('[edge]\ncertFile = "a.pem"\nlisten = "127.0.0.1:8787"\n[token]\nttlSeconds = 1');
    for (const told of ["edge.certFile, edge.keyFile: set both", "edge.listen: port 8787 is token.listen's already", "token.ttlSeconds: "])
      expect(problems).toContain(told);
    expect(problemsOf("vana.requireRegistration = true\nvana.gatewayUrl = 7")).not.toContain("needs vana.gatewayUrl");
  });

  it("tells files that are not there to whoever asks for it", () => {
    const text = 'stellar.serverSecretFile = "credential:stellar"\n[edge]\ncertFile = "a.pem"\nkeyFile = "/a.key"';
    const source = { text, name: "keyhole.toml", base: "/srv", env: {} };
    expect(parseConfig({ ...source, isThere: (path) => path === "/a.key" || path === "/srv/a.pem" })).toEqual(parseConfig(source));
    expect(() => parseConfig({ ...source, isThere: (path) => path === "/a.key" })).toThrow(
      "\n  edge.certFile: there is no file /srv/a.pem",
    );
  });

  it("refuses a log level that there is not", () => {
    const sentence = "KEYHOLE_LOG_LEVEL: must be one of trace, debug, info, warn, error, silent";
    for (const level of ["loud", "INFO", " info"]) expect(problemsOf("", { KEYHOLE_LOG_LEVEL: level })).toContain(sentence);
    for (const level of ["", "trace", "silent"]) expect(problemsOf("", { KEYHOLE_LOG_LEVEL: level })).toBe("");
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
    ['[edge]\npublicUrl = "https://{label}.tunnel.localhost:70080"', "a port that exist"],
    ['[edge]\nlisten = "127.0.0.1:8787"', "is token.listen's already"],
    ["[frps]\nbindPort = 7000", "is control.listen's already"],
    ["version = 2", "\n  version: must be 1"],
    ["[token]\nttlSeconds = 1.5", "token.ttlSeconds: must be a whole number from 60 to 2592000, as in 86400"],
    ["[token]\nttlSeconds = -5", "token.ttlSeconds: must be a whole number from 60 to 2592000, as in 86400"],
    ['[token]\nttlSeconds = "x"', "token.ttlSeconds: must be a whole number from 60 to 2592000, as in 86400"],
    ["domain = 7", "domain: must be text in quotes"],
    ['stateDir = ""', "stateDir: must be a path, and not empty"],
    ['[edge]\nkind = "nginx"', 'edge.kind: must be "node"'],
    ['[edge]\ntrustedProxies = "10.0.0.0/8"', 'edge.trustedProxies: must be a list, as in ["10.0.0.0/8"]'],
    ['domain = "x"\n[edge\n', "keyhole.toml is not valid TOML: line 2, column 6: illegal character in key"],
    ["a = [", "not valid TOML: line 1, column 5: unfinished array"],
  ])("refuses %j", (text, why) => {
    expect(problemsOf(text)).toContain(why);
  });

  it("takes networks as a list, from the file or from a variable with commas, each as a CIDR", () => {
    const networks = ["10.0.0.0/8", "203.0.113.7", "2001:db8::/32", "::1"];
    const wanted = ["10.0.0.0/8", "203.0.113.7/32", "2001:db8::/32", "::1/128"];
    expect(parse(`token.trustedProxies = ${JSON.stringify(networks)}`)["token.trustedProxies"]).toEqual(wanted);
    expect(parse("", { KEYHOLE_EDGE_TRUSTED_PROXIES: ` ${networks.join(" , ")},` })["edge.trustedProxies"]).toEqual(wanted);
    expect(parse("")["edge.trustedProxies"]).toEqual([]);
  });

  it.each([
    ["10.0.0.1/8", "is not where a network begins; did you mean 10.0.0.0/8?"],
    ["203.0.113.200/26", "did you mean 203.0.113.192/26?"],
    ["2001:db8:1::/32", "did you mean 2001:db8::/32?"],
    ["10.0.0.0/33", "must end with /0 to /32"],
    ["::/129", "must end with /0 to /128"],
    ["10.0.0.0/08", "must end with /0 to /32"],
    ["0.0.0.0/0", "is everybody"],
    ["::/0", "is everybody"],
    ["::ffff:10.0.0.0/104", "write it as IPv4"],
    ["10.0.0", "is not a network such as"],
    ["fe80::1%eth0", "is not a network such as"],
    ["10.0.0.0/8/8", "is not a network such as"],
    ["proxy.example.org", "is not a network such as"],
  ])("refuses the network %s, with what it should be", (network, why) => {
    const problems = problemsOf(`edge.trustedProxies = ["192.0.2.0/24", "${network}"]`);
    expect(problems).toContain(`edge.trustedProxies: "${network}" `);
    expect(problems).toContain(why);
  });

  it.each([
    ["https://gateway.example.org", "https://gateway.example.org"],
    ["https://gateway.example.org/base/", "https://gateway.example.org/base"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["http://[::1]:8080/", "http://[::1]:8080"],
    ["http://localhost", "http://localhost"],
  ])("takes the gateway %s", (text, url) => {
    expect(parse(`vana.gatewayUrl = "${text}"`)["vana.gatewayUrl"]).toBe(url);
  });

  it.each([
    ["gateway.example.org", "must be a URL such as"],
    ["ftp://gateway.example.org", "must be a URL such as"],
    ["https://user@gateway.example.org", "must not hold a user"],
    ["https://gateway.example.org/?", "must not have a query"],
    ["https://gateway.example.org/#x", "must not have a query or a fragment"],
    ["http://gateway.example.org", "must be https"],
    ["http://127.0.0.1.example.org", "must be https"],
  ])("refuses the gateway %s", (url, why) => {
    expect(problemsOf(`vana.gatewayUrl = "${url}"`)).toContain(`vana.gatewayUrl: ${why}`);
  });

  it("reads a variable as its setting is meant: a number, a yes or no, or text that only looks like one", () => {
    const env = { KEYHOLE_LIMITS_LOGINS_IN_FLIGHT: "7", KEYHOLE_TOKEN_PRODUCT_NAME: "2001", KEYHOLE_VANA_REQUIRE_REGISTRATION: "true" };
    expect(parse('vana.gatewayUrl = "https://gateway.example.org"', env)).toMatchObject({
      "limits.loginsInFlight": 7,
      "token.productName": "2001",
      "vana.requireRegistration": true,
    });
    expect(problemsOf("", { KEYHOLE_VANA_REQUIRE_REGISTRATION: "yes" })).toContain("must be true or false");
    expect(problemsOf("limits.loginsInFlight = 0")).toContain("limits.loginsInFlight: must be a whole number from 1 to 1000000, as in 60");
  });

  it("needs a gateway where registration is required", () => {
    expect(problemsOf("vana.requireRegistration = true")).toContain("vana.requireRegistration: needs vana.gatewayUrl");
  });

  it("resolves the file of a secret, and leaves a credential's name alone", () => {
    const key = "stellar.serverSecretFile";
    expect(parse(`${key} = "secret"`)[key]).toBe("/srv/keyhole/secret");
    expect(parse(`${key} = "credential:stellar"`)[key]).toBe("credential:stellar");
  });

  it("10: keeps token service, hook, metrics and admin API on loopback whatever is written", () => {
    for (const key of ["token.listen", "plugin.listen", "metrics.listen", "admin.listen"])
      expect(problemsOf(`${key} = "0.0.0.0:1234"`)).toContain("must be on loopback");
  });

  it("opens the admin API on a port only with a key", () => {
    for (const text of ['admin.listen = "127.0.0.1:9500"', 'admin.keyFile = "key"'])
      expect(problemsOf(text)).toContain("admin.listen, admin.keyFile: set both for the admin API on a port, or neither");
    expect(parse('admin.listen = "[::1]:0"\nadmin.keyFile = "key"')["admin.keyFile"]).toBe("/srv/keyhole/key");
    expect(problemsOf('admin.listen = "127.0.0.1:8787"\nadmin.keyFile = "key"')).toContain("port 8787 is token.listen's already");
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
