/**
 * Every setting there is: its form, its default and its manual entry. The configuration table of the README is generated
 * from this file, so the sentence beside a key is its documentation.
 */
import { z } from "zod";

/** Where something listens. Port 0: a free one is chosen once and kept in `<stateDir>/ports.json`. */
export type ListenAddress = { readonly host: string; readonly port: number };

const port = z.int().min(0).max(65_535);

const listen = z.string().transform((text, context): ListenAddress => {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text);
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

const domain = z
  .string()
  .regex(
    /^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/,
    "must be a lower-case domain name of two labels or more, without scheme, port or trailing dot",
  )
  .refine((name) => !/^[0-9.]+$/.test(name), "must be a name, not an IP address")
  .refine(
    (name) => name.replace(/[^a-z]/g, "").length >= minDomainLetters,
    `must have at least ${minDomainLetters} letters, so that a host can be registered in a new letter case each time; put a longer name before it`,
  );

const publicUrl = z
  .string()
  .regex(
    /^https?:\/\/\{label\}\.[a-z0-9.-]+(?::[0-9]{1,5})?$/,
    "must be like https://{label}.example.org, with {label} where the wallet's label goes and no path",
  );

const path = z.string().min(1).max(4096);
const seconds = (least: number, most: number) => z.int().min(least).max(most);

/** Each setting by its TOML key. `meaning` is one line for the manual. */
export const settings = {
  version: { schema: z.literal(1), fallback: 1, meaning: "Of this file's form." },
  domain: { schema: domain, fallback: "tunnel.localhost", meaning: "Labels live directly below it." },
  stateDir: {
    schema: path,
    fallback: ".keyhole",
    meaning: "Everything that must survive a restart; 0700, or 2770 for a group. Relative to the configuration file.",
  },
  "token.listen": { schema: loopbackListen, fallback: "127.0.0.1:8787", meaning: "The token service; the edge serves it to the public." },
  "token.productName": {
    schema: z.string().regex(/^[\x20-\x7e]{1,80}$/, "must be 1 to 80 printable ASCII characters"),
    fallback: "Vana Personal Server",
    meaning: "The product's name in the message that a wallet signs.",
  },
  "token.ttlSeconds": { schema: seconds(60, 2_592_000), fallback: 86_400, meaning: "Life of a tunnel token." },
  "token.timestampWindowSeconds": {
    schema: seconds(10, 3600),
    fallback: 300,
    meaning: "How far a proof's timestamp may be from our clock, either way.",
  },
  "control.listen": { schema: listen, fallback: "127.0.0.1:7000", meaning: "Where frpc connects; TLS ends here." },
  "control.host": {
    schema: z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, "must be a host name or an IP address"),
    fallback: "127.0.0.1",
    meaning: "The host that clients are told, and that the control certificate names.",
  },
  "edge.kind": { schema: z.enum(["node"]), fallback: "node", meaning: "Which door serves visitors." },
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
  "edge.appTimeoutSeconds": { schema: seconds(1, 600), fallback: 60, meaning: "How long an app may take until its answer begins." },
  "frps.bindPort": { schema: port, fallback: 0, meaning: "frps's port for clients, on loopback." },
  "frps.vhostHttpPort": { schema: port, fallback: 0, meaning: "frps's port for requests, on loopback." },
  "frps.dashboardPort": { schema: port, fallback: 0, meaning: "frps's dashboard, on loopback." },
  "plugin.listen": { schema: loopbackListen, fallback: "127.0.0.1:0", meaning: "The hook that frps calls." },
  "metrics.listen": {
    schema: loopbackListen,
    fallback: "127.0.0.1:9400",
    meaning: "Prometheus metrics at `/metrics`, liveness at `/healthz`.",
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
