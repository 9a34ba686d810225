/** Every field of a NewProxy that could take something that is not the client's own, sent by a client that is admitted. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HostileWorld, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { domain } from "../support/keyhole-process.ts";
import { encodeRawMessage, messageType } from "../support/raw-frp-client.ts";
import { visit } from "../support/visitor.ts";

let world: HostileWorld;
let thief: Tenant;
beforeAll(async () => {
  world = await startHostileWorld();
  thief = await world.makeTenant();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

type Fields = Record<string, unknown>;
type Case = readonly [what: string, answer: string, fields: (victim: Tenant, own: Tenant) => Fields];

/** Sends one NewProxy on a session of its own; what is written stands in the place of what an honest client would send. */
async function tryProxy(fields: Fields): Promise<string> {
  using client = await world.logIn(thief);
  const error = await client.newProxy({ proxy_name: `${thief.label}.app`, proxy_type: "http", subdomain: thief.label, ...fields });
  return error === "" ? "registered" : (error.split(":")[0] ?? "");
}

const mixed = (text: string): string => [...text].map((letter, at) => (at % 2 === 0 ? letter.toUpperCase() : letter)).join("");

const hosts: readonly Case[] = [
  ["the victim's host", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ custom_domains: [host] })],
  ["the victim's host in capitals", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ custom_domains: [host.toUpperCase()] })],
  ["the victim's host in mixed case", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ custom_domains: [mixed(host)] })],
  ["the victim's host with a dot at its end", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ custom_domains: [`${host}.`] })],
  ["the victim's host behind an empty one", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ custom_domains: ["", host] })],
  ["its own host", "CUSTOM_DOMAIN_FORBIDDEN", (_victim, { host }) => ({ custom_domains: [host] })],
  ["an empty host", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: [""] })],
  ["every host", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: ["*"] })],
  ["every host of the domain", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: [`*.${domain}`] })],
  ["every host of the parent", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: ["*.localhost"] })],
  ["the apex", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: [domain] })],
  ["the parent", "CUSTOM_DOMAIN_FORBIDDEN", () => ({ custom_domains: ["localhost"] })],
  ["hosts, without a subdomain", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ subdomain: "", custom_domains: [host] })],
  ["hosts, the field in another letter case", "CUSTOM_DOMAIN_FORBIDDEN", ({ host }) => ({ Custom_DOMAINS: [host] })],
  ["no hosts", "registered", () => ({ custom_domains: [] })],
  ["the victim's label", "SUBDOMAIN_NOT_OWNED", ({ label }) => ({ subdomain: label })],
  ["the victim's label in capitals", "SUBDOMAIN_NOT_OWNED", ({ label }) => ({ subdomain: label.toUpperCase() })],
  ["the victim's label in mixed case", "SUBDOMAIN_NOT_OWNED", ({ label }) => ({ subdomain: mixed(label) })],
  ["the victim's label with a dot", "SUBDOMAIN_NOT_OWNED", ({ label }) => ({ subdomain: `${label}.` })],
  ["a name below its own label", "SUBDOMAIN_NOT_OWNED", (_victim, { label }) => ({ subdomain: `a.${label}` })],
  ["its own label with a line end", "SUBDOMAIN_NOT_OWNED", (_victim, { label }) => ({ subdomain: `${label}\n` })],
  ["any label", "SUBDOMAIN_NOT_OWNED", () => ({ subdomain: "*" })],
  ["a label of 600 letters", "SUBDOMAIN_NOT_OWNED", () => ({ subdomain: "a".repeat(600) })],
  ["its own label in capitals", "registered", (_victim, { label }) => ({ subdomain: label.toUpperCase() })],
  ["no label", "registered", () => ({ subdomain: "" })],
];

const options: readonly Case[] = [
  ["a path", "LOCATIONS_FORBIDDEN", () => ({ locations: ["/"] })],
  ["an empty path", "LOCATIONS_FORBIDDEN", () => ({ locations: [""] })],
  ["routes by user", "PROXY_FIELD", () => ({ route_by_http_user: "x" })],
  ["a user", "PROXY_FIELD", () => ({ http_user: "x" })],
  ["a password", "PROXY_FIELD", () => ({ http_pwd: "x" })],
  ["another Host for the app", "HOST_REWRITE_FORBIDDEN", ({ host }) => ({ host_header_rewrite: host })],
  ["headers of a request", "PROXY_FIELD", () => ({ headers: { "X-Forwarded-For": "10.0.0.1" } })],
  ["headers of a request, named like a property", "PROXY_FIELD", () => JSON.parse('{"headers":{"__proto__":"x"}}') as Fields],
  ["the marker of an answer", "RESPONSE_HEADERS_FORBIDDEN", () => ({ response_headers: { "X-Keyhole-App": "2" } })],
  ["a cookie for all", "RESPONSE_HEADERS_FORBIDDEN", () => ({ response_headers: { "Set-Cookie": `a=b; Domain=${domain}` } })],
  ["a group", "GROUP_FORBIDDEN", ({ host }) => ({ group: host })],
  ["a group's key", "GROUP_FORBIDDEN", () => ({ group_key: "x" })],
  ["encryption", "TRANSPORT_OPTION", () => ({ use_encryption: true })],
  ["compression", "TRANSPORT_OPTION", () => ({ use_compression: true })],
  ["a port", "PROXY_FIELD", () => ({ remote_port: 8080 })],
  ["a negative port", "PROXY_FIELD", () => ({ remote_port: -1 })],
  ["the largest port that Go reads", "PROXY_FIELD", () => JSON.parse('{"remote_port":9007199254740991}') as Fields],
  ["a secret", "PROXY_FIELD", () => ({ sk: "x" })],
  ["users that may visit", "PROXY_FIELD", () => ({ allow_users: ["*"] })],
  ["a multiplexer", "PROXY_FIELD", () => ({ multiplexer: "httpconnect" })],
  ["a bandwidth limit of frps's", "registered", () => ({ bandwidth_limit: "1KB", bandwidth_limit_mode: "server" })],
  ["a bandwidth limit of frpc's", "registered", () => ({ bandwidth_limit: "1KB", bandwidth_limit_mode: "client" })],
  ["a bandwidth limit that is none", "PROXY_MALFORMED", () => ({ bandwidth_limit: "x".repeat(65) })],
  ["metas", "registered", () => ({ metas: { session: "x", token: "x" } })],
  ["annotations", "ANNOTATIONS_FORBIDDEN", () => ({ annotations: { a: "b" } })],
  ["metas named like a property", "registered", () => JSON.parse('{"metas":{"__proto__":"x","constructor":"y"}}') as Fields],
  ["fields that frp does not have", "registered", () => ({ plugin: { type: "static_file" }, health_check_type: "http" })],
  ["fields named like properties", "registered", () => JSON.parse('{"__proto__":{"proxy_type":"tcp"},"constructor":1}') as Fields],
];

const types: readonly Case[] = ["tcp", "udp", "https", "tcpmux", "stcp", "sudp", "xtcp", "", "HTTP", "http ", "http\0"].map((type) => [
  JSON.stringify(type),
  "PROXY_TYPE",
  () => ({ proxy_type: type, remote_port: 0 }),
]);

const names: readonly Case[] = [
  ["the victim's label", "PROXY_NAME", ({ label }) => ({ proxy_name: label })],
  ["the victim's label in capitals", "PROXY_NAME", ({ label }) => ({ proxy_name: label.toUpperCase() })],
  ["a name below the victim's label", "PROXY_NAME", ({ label }) => ({ proxy_name: `${label}.app` })],
  ["the name of the victim's server", "PROXY_NAME", ({ label }) => ({ proxy_name: `personal-server-${label}` })],
  ["a name that anybody could want", "PROXY_NAME", () => ({ proxy_name: "web" })],
  ["no name", "PROXY_NAME", () => ({ proxy_name: "" })],
  ["a name with a line end", "PROXY_NAME", (_victim, { label }) => ({ proxy_name: `${label}.a\nb` })],
  ["a name with a colour", "PROXY_NAME", (_victim, { label }) => ({ proxy_name: `${label}.\u001b[31m` })],
  ["a name with a NUL", "PROXY_NAME", (_victim, { label }) => ({ proxy_name: `${label}.\0` })],
  ["a name beyond ASCII", "PROXY_NAME", (_victim, { label }) => ({ proxy_name: `${label}.\u202ea` })],
  ["a name of 9,000 letters", "PROXY_NAME", (_victim, { label }) => ({ proxy_name: `${label}.${"a".repeat(9000)}` })],
  ["a name with a format of Go's", "registered", (_victim, { label }) => ({ proxy_name: `${label}.%s%n%!d(x)` })],
];

/** frps reads into Go's types and ends a client that sends others; what it does read the hook judges. */
const forms: readonly Case[] = [
  ["text for a list", "ended", ({ host }) => ({ custom_domains: host })],
  ["an object for a list", "ended", ({ host }) => ({ custom_domains: { 0: host } })],
  ["a list within a list", "ended", ({ host }) => ({ custom_domains: [[host]] })],
  ["a list for a map", "ended", () => ({ headers: ["a"] })],
  ["a number for a name", "ended", () => ({ proxy_name: 5 })],
  ["a number for a type", "ended", () => ({ proxy_type: 5 })],
  ["a list for a label", "ended", ({ label }) => ({ subdomain: [label] })],
  ["text for a flag", "ended", () => ({ use_encryption: "yes" })],
  ["text for a number", "ended", () => ({ remote_port: "80" })],
  ["a number that no machine has", "ended", () => ({ remote_port: 1e300 })],
  ["half a port", "ended", () => ({ remote_port: 1.5 })],
  ["null for everything", "PROXY_TYPE", () => ({ proxy_name: null, proxy_type: null, subdomain: null })],
];

describe.each([
  ["hosts", hosts],
  ["options", options],
  ["types", types],
  ["names", names],
  ["forms", forms],
] as const)("a NewProxy with %s", (_kind, cases) => {
  it.each(cases)("1: %s is answered with %s, and nobody else is touched", async (_what, answer, fields) => {
    expect(await tryProxy(fields(world.victim, thief))).toBe(answer);
  });
});

describe("a NewProxy that is no object, or has a field twice", () => {
  it.each([
    ["a list", "[]"],
    ["a number", "7"],
    ["half an object", '{"proxy_name":'],
    ["nothing", ""],
    ["ten thousand brackets", "[".repeat(10_000)],
  ])("4: %s ends the client's own control, and nothing else", async (_what, body) => {
    using client = await world.logIn(thief);
    client.control.send(messageType.newProxy, body);
    expect(await client.control.next(messageType.newProxyResp)).toBe("ended");
  });

  it("4: null is no message: the next one is answered", async () => {
    using client = await world.logIn(thief);
    client.control.send(messageType.newProxy, "null");
    expect(await client.newProxy({ proxy_name: "x", proxy_type: "tcp" })).toMatch(/^PROXY_TYPE/);
  });

  it("1: the last of two fields counts, for frps and for the hook alike", async () => {
    using client = await world.logIn(thief);
    const own = `"proxy_name":"${thief.label}.app","proxy_type":"http"`;
    const both = [`"custom_domains":[]`, `"custom_domains":["${world.victim.host}"]`];
    for (const [order, answer] of [
      [both, /^CUSTOM_DOMAIN_FORBIDDEN/],
      [both.toReversed(), /^$/],
    ] as const) {
      client.control.sendBytes(encodeRawMessage(messageType.newProxy, `{${own},${order.join(",")}}`));
      const got = await client.control.next(messageType.newProxyResp);
      expect(got === "ended" ? got : String(got["error"] ?? "")).toMatch(answer);
    }
  });
});

describe("what was registered", () => {
  it("1: serves its own address and nothing else, whatever was asked for with it", async () => {
    using client = await world.logIn(thief);
    const asked = { bandwidth_limit: "1KB", bandwidth_limit_mode: "server", metas: { a: "b" } };
    expect(await client.newProxy({ proxy_name: `${thief.label}.app`, proxy_type: "http", subdomain: "", ...asked })).toBe("");
    // At a kilobyte a second this would take five minutes.
    expect((await visit(world.keyhole.edgePort, thief.host, { path: "/large", timeoutMs: 5000 })).body).toHaveLength(300_000);
    for (const host of [world.victim.host.toUpperCase(), mixed(world.victim.host), `${world.victim.host}:80`]) {
      expect((await visit(world.keyhole.edgePort, host)).body).toBe("honest");
    }
    for (const host of [domain, `a.${domain}`, "localhost", `a.${thief.host}`, "127.0.0.1"]) {
      expect([host, (await visit(world.keyhole.edgePort, host)).body.includes("stolen")]).toEqual([host, false]);
    }
  });
});
