import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import { deriveFrpsConfig, type FrpsSettings, renderFrpsConfig } from "@keyhole/frp";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { afterEach, beforeEach, expect, it } from "vitest";
import { badInputs, runIn } from "../bad-inputs-for-tests.ts";
import { renderClientConfig } from "../client-config.ts";
import { parseConfig } from "./load-config.ts";
import { configurationRows } from "./settings.ts";

/** Of the same surface, what lies on the machine: `state/bad-inputs.test.ts` tries it. */
const ofState = ["d03", "d15", "d17", "d19", "d23"];

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-bad-inputs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the command line beside the test's files. */
const run = (args: readonly string[], env?: Readonly<Record<string, string>>) => runIn(dir, args, env);
/** What `config check` says of this file: code 78 and every problem, or 0 and nothing. */
function check(text: string, env: Readonly<Record<string, string>> = {}): readonly [number | null, string] {
  writeFileSync(join(dir, "keyhole.toml"), text);
  const { status, stderr } = run(["config", "check"], env);
  return [status, stderr];
}
const problemsOf = (text: string, env: Readonly<Record<string, string>> = {}): string => {
  try {
    parseConfig({ text, name: "keyhole.toml", base: dir, env });
    return "";
  } catch (fault) {
    return (fault as Fault).message;
  }
};

const frpsSettings: FrpsSettings = {
  bindPort: 20_001,
  vhostHttpPort: 20_002,
  vhostHttpTimeoutSeconds: 60,
  dashboardPort: 20_003,
  dashboardUser: "keyhole",
  dashboardPassword: "dashboard",
  hookPort: 20_004,
  hookUser: "frps",
  hookPassword: "hook",
};
/** Values that have broken configurations before. */
const hostile = ['"', "\\", "\n", "\r\n", "\u0000", "\u2028", "]", "#", "{{", "'''", '"""', "\ud800", "= 1\n[x]"];

/** How each entry is tried. Where DESIGN.md supersedes what the corpus expects, the reason stands here. */
const tries: Readonly<Record<string, () => Promise<void> | void>> = {
  // Nothing is required: what is not configured has a default, and secrets are made at the first start (DESIGN.md §8). All
  // problems are told at once.
  d01: () => {
    expect(check("")).toEqual([0, ""]);
    const [status, told] = check('domain = ""\nstateDir = ""\ncontrol.host = ""\ntoken.listen = ""\n');
    expect(status).toBe(78);
    for (const key of ["domain:", "stateDir:", "control.host:", "token.listen:"]) expect(told).toContain(`\n  ${key}`);
  },
  // Refused, not mended in silence: other programs read the same name. What was meant is told.
  d05: () => {
    const meant: Readonly<Record<string, string>> = {
      "https://tunnel.example.org": "tunnel.example.org",
      "tunnel.example.org:443": "tunnel.example.org",
      "tunnel.example.org/path": "tunnel.example.org",
      "tunnel.example.org.": "tunnel.example.org",
      "Tunnel.Example.org": "tunnel.example.org",
      "*.tunnel.example.org": "tunnel.example.org",
    };
    for (const [name, suggestion] of Object.entries(meant))
      expect(problemsOf(`domain = "${name}"`)).toContain(`; did you mean ${suggestion}?`);
    for (const name of ["203.0.113.7", "localhost", Array(4).fill("a".repeat(60)).join("."), "", "a..b", "exämple.org"])
      expect(problemsOf(`domain = "${name}"`)).toContain("domain: must be");
    expect(check('domain = "Tunnel.Example.org"')[0]).toBe(78);
  },
  // The code is CONFIG_INVALID, as of everything that is wrong with the configuration; the line says which two keys meet.
  d07: () => {
    expect(check('token.listen = "127.0.0.1:7080"')).toEqual([
      78,
      expect.stringMatching(/CONFIG_INVALID[\s\S]*edge.listen: port 7080 is token.listen's already/),
    ]);
    const clash = problemsOf('[frps]\nvhostHttpPort = 8080\ndashboardPort = 8080\n[plugin]\nlisten = "127.0.0.1:8080"');
    expect(clash.match(/port 8080 is [\w.]+'s already/g)).toHaveLength(2);
  },
  // There is no setting for it: the dashboard is on loopback, its password is made by us, and an empty one cannot be rendered.
  d09: () => {
    expect(
      configurationRows()
        .filter(({ key }) => /dashboard/i.test(key))
        .map(({ key }) => key),
    ).toEqual(["frps.dashboardPort"]);
    expect(problemsOf('frps.dashboardAddr = "0.0.0.0"')).toContain("frps.dashboardAddr: unknown key");
    expect(deriveFrpsConfig(frpsSettings).webServer).toMatchObject({ addr: "127.0.0.1", user: "keyhole", password: "dashboard" });
    expect(() => deriveFrpsConfig({ ...frpsSettings, dashboardPassword: "" })).toThrow("must not be empty");
  },
  d11: () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: "binary" })), { maxLength: 4 })
      .map((parts) => parts.join(""));
    const keys = fc.constantFrom(
      "domain",
      "stateDir",
      "token.productName",
      "control.host",
      "edge.publicUrl",
      "vana.audience",
      "vana.gatewayUrl",
    );
    fc.assert(
      fc.property(keys, text, (key, value) => {
        const [section = "", name = ""] = key.split(".");
        let told: string;
        try {
          told = stringify(name === "" ? { [section]: value } : { [section]: { [name]: value } });
        } catch {
          return; // TOML cannot hold it, so no file has it
        }
        try {
          const config = parseConfig({ text: told, name: "keyhole.toml", base: "/", env: {} }) as unknown as Record<string, unknown>;
          if (key !== "stateDir" && key !== "vana.gatewayUrl") expect(config[key]).toBe(value);
        } catch (fault) {
          expect(fault).toBeInstanceOf(Fault);
        }
      }),
      { numRuns: 500 },
    );
    const grant = { token: "t", subdomain: "s", serverAddr: "a", serverPort: 1, expiresAt: "e", tunnelUrl: "u", proxyName: "p" };
    fc.assert(
      fc.property(
        text.filter((value) => value.isWellFormed()),
        (value) => {
          const file = renderClientConfig({
            grant: { ...grant, token: value, tunnelUrl: value, serverAddr: value },
            serverName: value,
            caPem: "",
            localPort: 80,
            fileName: "frpc.toml",
            caPath: value,
            tokenFile: undefined,
          });
          expect(parse(file)).toMatchObject({
            serverAddr: value,
            metadatas: { token: value },
            transport: { tls: { trustedCaFile: value } },
          });
          expect(file).not.toContain("{{");
          const frps = renderFrpsConfig(deriveFrpsConfig({ ...frpsSettings, dashboardPassword: `x${value}` }));
          expect(parse(frps)).toMatchObject({ webServer: { password: `x${value}` } });
        },
      ),
      { numRuns: 300 },
    );
  },
  d13: () => {
    expect(check("[frps]\nvhostHtttpPort = 8080\n")).toEqual([78, expect.stringContaining("did you mean frps.vhostHttpPort?")]);
    expect(problemsOf("", { KEYHOLE_FRPS_VHOST_HTTPPORT: "1" })).toContain("did you mean KEYHOLE_FRPS_VHOST_HTTP_PORT?");
  },
  // There is nothing to set: the public API answers everybody and takes no cookies, an app's answers are not touched (DESIGN.md §4).
  d21: () => {
    for (const origin of ["*", "null", "https://example.org/path", "http://example.org"])
      expect(problemsOf(`token.corsOrigin = "${origin}"`)).toContain("token.corsOrigin: unknown key");
    expect(configurationRows().filter(({ key }) => /cors|origin/i.test(key))).toEqual([]);
  },
  d25: () => {
    for (const flags of [
      ["up", "--hook-password", "hunter2"],
      ["token", "--stellar-secret=hunter2"],
    ]) {
      const { status, stderr } = run(flags);
      expect([status, stderr]).toEqual([2, expect.stringMatching(/unknown option[\s\S]*secrets are no flags[\s\S]*files and credentials/)]);
      expect(stderr).not.toContain("hunter2");
    }
  },
};

it("has a try for every entry, here or beside the state", () => {
  expect(badInputs.map(({ id }) => id)).toEqual([...Object.keys(tries), ...ofState].sort());
});

it.each(badInputs.filter(({ id }) => !ofState.includes(id)))("$id: $input", async ({ id }) => {
  await tries[id]?.();
});
