import fc from "fast-check";
import { expect, test } from "vitest";
import { deriveFrpsConfig, type FrpsSettings, renderFrpsConfig } from "./frps-config.ts";
import { diffFrpsConfigs } from "./frps-config-diff.ts";
import { renderToml } from "./toml.ts";

const settings: FrpsSettings = {
  bindPort: 7001,
  vhostHttpPort: 7002,
  vhostHttpTimeoutSeconds: 60,
  dashboardPort: 7003,
  dashboardUser: "keyhole",
  dashboardPassword: "dashboard secret",
  hookPort: 7004,
  hookUser: "frps",
  hookPassword: "hook secret",
};
const render = (changed: Partial<FrpsSettings> = {}): string => renderFrpsConfig(deriveFrpsConfig({ ...settings, ...changed }));

test.each([
  [{}, []],
  [{ dashboardPort: 8003 }, ["webServer.port"]],
  [{ hookPassword: "other" }, ["httpPlugins[0].addr"]],
  [{ bindPort: 8001, dashboardPassword: "other", hookPort: 9 }, ["bindPort", "httpPlugins[0].addr", "webServer.password"]],
] as const)("of two configs of frps the keys are named whose values differ: %#", (changed, keys) => {
  expect(diffFrpsConfigs(render(), render(changed))).toEqual(keys);
});

test("a key that only one has, another type, and another length count; another order and other blanks do not", () => {
  expect(diffFrpsConfigs("a = 1\nb = 2", "b   = 2\n# c\na = 1")).toEqual([]);
  expect(diffFrpsConfigs("a = 1", 'a = "1"\n"x y" = {}\n')).toEqual(["a", '"x y"']);
  expect(diffFrpsConfigs("a = [1, 2]\nc = [{d = 1}]", "a = [1]\nc = [{d = 2}]")).toEqual(["a", "c[0].d"]);
  expect(diffFrpsConfigs("a = []", "a = [[]]")).toEqual(["a"]);
  expect(diffFrpsConfigs("a = 1979-05-27", "a = 1979-05-28")).toEqual(["a"]);
  expect(diffFrpsConfigs("a = 1979-05-27", "a = 1979-05-27")).toEqual([]);
});

test("what is no TOML has no difference to tell", () => {
  expect(diffFrpsConfigs("a =", "a = 1")).toBeUndefined();
  expect(diffFrpsConfigs("a = 1", "{{")).toBeUndefined();
});

test("9: no value is ever named, and two configs differ in nothing exactly when they are the same", () => {
  const value = fc.oneof(
    fc.integer(),
    fc.boolean(),
    fc.string({ minLength: 1, unit: "grapheme-ascii" }).map((text) => `secret ${text}`),
  );
  const table = fc.dictionary(
    fc.constantFrom("a", "b", "c"),
    fc.oneof(value, fc.array(value), fc.dictionary(fc.constantFrom("d", "e"), value)),
    {
      noNullPrototype: true,
    },
  );
  fc.assert(
    fc.property(table, table, (before, after) => {
      const keys = diffFrpsConfigs(renderToml(before), renderToml(after));
      expect(keys?.join()).not.toContain("secret");
      expect(keys?.length === 0).toBe(fc.stringify(sortKeys(before)) === fc.stringify(sortKeys(after)));
    }),
  );
});

function sortKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sortKeys(item)]),
  );
}
