/**
 * Every setting there is: its form, its default and its manual entry. The configuration table of the README is generated
 * from this file, so the sentence beside a key is its documentation.
 */
import { z } from "zod";
import { gatewayUrl, networks, text, wholeNumber } from "./setting-forms.ts";

/** Where something listens. Port 0: a free one is chosen once and kept in `<stateDir>/ports.json`. */
export type ListenAddress = { readonly host: string; readonly port: number };

const port = wholeNumber(0, 65_535, 7080);

const listen = text.transform((words, context): ListenAddress => {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(words);
  const parsed = parts === null ? undefined : { host: parts[1] ?? parts[2] ?? "", port: Number(parts[3]) };
  if (parsed !== undefined && parsed.port <= 65_535) return parsed;
  context.addIssue({ code: "custom", message: "must be host:port, as in 127.0.0.1:8787 or [::1]:8787" });
  return z.NEVER;
});

const loopbackListen = listen.refine(
  ({ host }) => host === "127.0.0.1" || host === "::1" || host === "localhost",
  "must be on loopback: 127.0.0.1, [::1] or localhost",
);

/** Letters of the domain feed the letter case that is new for every registration; an EVM label is only sure to add its x. */
const minDomainLetters = 15;

/** Lower-case labels, at least two, without scheme, port or trailing dot. */
const domainForm = /^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/;

const domain = text
  .superRefine((name, context) => {
    if (domainForm.test(name)) return;
    const meant = name
      .toLowerCase()
      .replace(/^[a-z+]+:\/\//, "")
      .replace(/^\*\./, "")
      .replace(/[/:?#].*$/, "")
      .replace(/\.+$/, "");
    const suggestion = meant !== name && domainForm.test(meant) ? `; did you mean ${meant}?` : "";
    const message = `must be a lower-case domain name of two labels or more, without scheme, port or trailing dot${suggestion}`;
    context.addIssue({ code: "custom", message });
  })
  .refine((name) => !/^[0-9.]+$/.test(name), "must be a name, not an IP address")
  .refine(
    (name) => name.replace(/[^a-z]/g, "").length >= minDomainLetters,
    `must have at least ${minDomainLetters} letters, so that a host can be registered in a new letter case each time; put a longer name before it`,
  );

const publicUrl = text
  .regex(
    /^https?:\/\/\{label\}\.[a-z0-9.-]+(?::[0-9]{1,5})?$/,
    "must be like https://{label}.example.org, with {label} where the wallet's label goes and no path",
  )
  .refine((url) => URL.canParse(url.replace("{label}", "x")), "must have a host name and a port that exist: 1 to 65535");

const path = text.min(1, "must be a path, and not empty").max(4096, "must be a path of 4096 characters at most");
const limit = wholeNumber(1, 1_000_000, 60);

/** Each setting by its TOML key. `meaning` is one line for the manual. */
export const settings = {
  version: { schema: z.literal(1, "must be 1"), fallback: 1, meaning: "Of this file's form." },
  domain: { schema: domain, fallback: "tunnel.localhost", meaning: "Labels live directly below it." },
  stateDir: {
    schema: path,
    fallback: ".keyhole",
    meaning: "Everything that must survive a restart; 0700, or 2770 for a group. Relative to the configuration file.",
  },
  "token.listen": { schema: loopbackListen, fallback: "127.0.0.1:8787", meaning: "The token service; the edge serves it to the public." },
  "token.productName": {
    schema: text.regex(/^[\x20-\x7e]{1,80}$/, "must be 1 to 80 printable ASCII characters"),
    fallback: "Vana Personal Server",
    meaning: "The product's name in the message that a wallet signs.",
  },
  "token.ttlSeconds": { schema: wholeNumber(60, 2_592_000, 86_400), fallback: 86_400, meaning: "Life of a tunnel token." },
  "token.timestampWindowSeconds": {
    schema: wholeNumber(10, 3600, 300),
    fallback: 300,
    meaning: "How far a proof's timestamp may be from our clock, either way.",
  },
  "token.trustedProxies": {
    schema: networks,
    fallback: [],
    meaning: "Networks of proxies in front of the token service whose `X-Forwarded-For` is believed. The edge is, without this.",
  },
  "control.listen": { schema: listen, fallback: "127.0.0.1:7000", meaning: "Where frpc connects; TLS ends here." },
  "control.host": {
    schema: text.regex(/^[A-Za-z0-9.:-]{1,253}$/, "must be a host name or an IP address"),
    fallback: "127.0.0.1",
    meaning: "The host that clients are told, and that the control certificate names.",
  },
  "edge.kind": { schema: z.enum(["node"], 'must be "node"'), fallback: "node", meaning: "Which door serves visitors." },
  "edge.listen": { schema: listen, fallback: "127.0.0.1:7080", meaning: "Where visitors come in." },
  "edge.publicUrl": {
    schema: publicUrl.optional(),
    fallback: undefined,
    meaning: "The public address of a label. Default: `http` or `https`, `{label}`, the domain and the port of `edge.listen`.",
  },
  "edge.certFile": {
    schema: path.optional(),
    fallback: undefined,
    meaning:
      "PEM certificate chain for visitors; with `edge.keyFile` the edge serves HTTPS, otherwise plain HTTP. Read again when it changes.",
  },
  "edge.keyFile": { schema: path.optional(), fallback: undefined, meaning: "PEM private key of `edge.certFile`." },
  "edge.appTimeoutSeconds": { schema: wholeNumber(1, 600, 60), fallback: 60, meaning: "How long an app may take until its answer begins." },
  "edge.trustedProxies": {
    schema: networks,
    fallback: [],
    meaning: "Networks of load balancers in front of the edge whose `X-Forwarded-For` is believed; from anybody else it is replaced.",
  },
  "frps.bindPort": { schema: port, fallback: 0, meaning: "frps's port for clients, on loopback." },
  "frps.vhostHttpPort": { schema: port, fallback: 0, meaning: "frps's port for requests, on loopback." },
  "frps.dashboardPort": { schema: port, fallback: 0, meaning: "frps's dashboard, on loopback." },
  "plugin.listen": { schema: loopbackListen, fallback: "127.0.0.1:0", meaning: "The hook that frps calls." },
  "admin.listen": {
    schema: loopbackListen.optional(),
    fallback: undefined,
    meaning: "Where the admin API listens beside the plugin's socket; needs `admin.keyFile`. Default: nowhere.",
  },
  "admin.keyFile": {
    schema: path.optional(),
    fallback: undefined,
    meaning: "File with the key of that port (at least 32 characters), or `credential:NAME`.",
  },
  "metrics.listen": {
    schema: loopbackListen,
    fallback: "127.0.0.1:9400",
    meaning: "Prometheus metrics at `/metrics`, liveness at `/healthz`.",
  },
  "limits.tokenRequestsPerMinute": {
    schema: limit,
    fallback: 60,
    meaning: "Requests for a token or a revocation from one network (/24 of IPv4, /56 of IPv6).",
  },
  "limits.tokensPerMinute": { schema: limit, fallback: 10, meaning: "Tokens of one wallet, and as many revocations." },
  "limits.failedProofsPerMinute": {
    schema: limit,
    fallback: 20,
    meaning: "Proofs and credentials that prove nothing, from one network; then its next ones are not looked at.",
  },
  "limits.tokenRequestsInFlight": {
    schema: limit,
    fallback: 256,
    meaning: "Token requests under way at once; more are told to come back.",
  },
  "limits.connectionsPerAddress": { schema: limit, fallback: 256, meaning: "Connections of one address to the control port at once." },
  "limits.loginsPerAddressPerMinute": {
    schema: limit,
    fallback: 600,
    meaning: "New connections of one address to the control port, and logins.",
  },
  "limits.loginsPerIdentityPerMinute": {
    schema: limit,
    fallback: 60,
    meaning: "Logins with one credential; of one wallet in all ten times as many.",
  },
  "limits.proxiesPerIdentityPerMinute": { schema: limit, fallback: 60, meaning: "Proxies that one session registers." },
  "limits.loginsInFlight": { schema: limit, fallback: 2000, meaning: "Logins under way at once; more are told to come back." },
  "canary.enabled": {
    schema: z.boolean("must be true or false"),
    fallback: true,
    meaning: "Keep a tunnel of Keyhole's own, and ask for its page through the edge; `/health` and `keyhole status` say when it fails.",
  },
  "canary.intervalSeconds": { schema: wholeNumber(1, 3600, 5), fallback: 5, meaning: "How often the canary's page is asked for." },
  "events.keepDays": {
    schema: wholeNumber(1, 3650, 90),
    fallback: 90,
    meaning: "Events that are older are forgotten; the chain of those that are left can still be verified.",
  },
  "events.keepRows": {
    schema: wholeNumber(1000, 100_000_000, 1_000_000),
    fallback: 1_000_000,
    meaning: "More events than this are not kept in one file, whatever their age.",
  },
  "vana.gatewayUrl": {
    schema: gatewayUrl.optional(),
    fallback: undefined,
    meaning: "The Vana gateway, which knows whose server a wallet is. Without it only a wallet that signs for itself is admitted.",
  },
  "vana.requireRegistration": {
    schema: z.boolean("must be true or false"),
    fallback: false,
    meaning: "Admit a Vana claim only when the gateway knows its server, a wallet's own too.",
  },
  "vana.audience": {
    schema: text.regex(/^[\x21-\x7e]{1,256}$/, "must be 1 to 256 printable ASCII characters without a space"),
    fallback: "https://tunnel.vana.org",
    meaning: "The `aud` that a Vana claim must carry.",
  },
  "stellar.serverSecretFile": {
    schema: path.optional(),
    fallback: undefined,
    meaning: "File with the server's Stellar secret (`S…`), or `credential:NAME`. Default: one is made, and kept in `stateDir`.",
  },
} as const satisfies Record<string, { schema: z.ZodType; fallback: unknown; meaning: string }>;

/** A setting's TOML key, sections before a dot. */
export type SettingKey = keyof typeof settings;

/** Every setting, with its value. Paths are absolute. */
export type Config = { readonly [Key in SettingKey]: z.output<(typeof settings)[Key]["schema"]> };

/** The environment variable of a setting: `edge.appTimeoutSeconds` is `KEYHOLE_EDGE_APP_TIMEOUT_SECONDS`. */
export const environmentName = (key: string): string =>
  `KEYHOLE_${key
    .replace(".", "_")
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;

/** The rows of the configuration table, in reading order. */
export function configurationRows(): readonly {
  readonly key: string;
  readonly env: string;
  readonly default: string;
  readonly meaning: string;
}[] {
  return (Object.keys(settings) as SettingKey[]).map((key) => ({
    key,
    env: environmentName(key),
    default: settings[key].fallback === undefined ? "" : JSON.stringify(settings[key].fallback),
    meaning: settings[key].meaning,
  }));
}
