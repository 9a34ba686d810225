/** What writes configurations, and what reads ours: what was put in comes out, and nothing reaches frp's templating. */
import { isDeepStrictEqual } from "node:util";
import { parseConfig } from "@keyhole/cli";
import { Fault } from "@keyhole/core";
import { deriveFrpsConfig, type FrpcSettings, type FrpsSettings, renderFrpcConfig, renderFrpsConfig } from "@keyhole/frp";
import { parse, stringify } from "smol-toml";
import type { Prng } from "../../chaos/prng.ts";
import { mutateJson, mutateText, randomText } from "../mutate.ts";
import { broken, decodeInput, encodeInput, judged, type Outcome, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";

/** The renderers and the reader under test. */
export type ConfigSubjects = {
  readonly renderFrpcConfig: typeof renderFrpcConfig;
  readonly renderFrpsConfig: typeof renderFrpsConfig;
  readonly parseConfig: typeof parseConfig;
};

const ours: ConfigSubjects = { renderFrpcConfig, renderFrpsConfig, parseConfig };

const pem = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB==\n-----END CERTIFICATE-----\n";

/** A surface each. */
export function createConfigSurfaces(world: FuzzWorld, subjects: ConfigSubjects = ours): readonly Surface[] {
  return [
    {
      name: "frpc.toml",
      share: 3,
      lanes: 1,
      mustSee: ["rendered", "refused"],
      make: (prng) => encodeInput(drawFrpcSettings(world, prng)),
      run: (input) => judgeFrpcConfig(decodeInput(input) as FrpcSettings, subjects),
    },
    {
      name: "frps.toml",
      share: 2,
      lanes: 1,
      mustSee: ["rendered"],
      make: (prng) => encodeInput(drawFrpsSettings(prng)),
      run: (input) => judgeFrpsConfig(decodeInput(input) as FrpsSettings, subjects),
    },
    {
      name: "keyhole.toml",
      share: 3,
      lanes: 1,
      mustSee: ["accepted", "CONFIG_INVALID"],
      make: (prng) => encodeInput(drawKeyholeConfig(prng)),
      run: (input) => judgeKeyholeConfig(decodeInput(input), subjects),
    },
  ];
}

const hostile = (prng: Prng, good: string): string =>
  prng.pick([
    () => good,
    () => mutateText(good, prng),
    () => randomText(prng),
    () =>
      prng.pick([
        "{{ .Envs.HOME }}",
        "{{{{",
        '"""\nserverAddr = "evil"\n',
        "'''",
        "\\u007b{",
        "a\nb = 1",
        "# x",
        "\u0000\u001f\u007f",
        "\ud800",
        "{",
        "{%",
      ]),
  ])();

function drawFrpcSettings(world: FuzzWorld, prng: Prng): FrpcSettings {
  const { label } = prng.pick(world.wallets);
  return {
    serverAddr: hostile(prng, "127.0.0.1"),
    serverPort: prng.between(1, 65_535),
    serverName: hostile(prng, "control.tunnel.localhost"),
    token: hostile(prng, "frp_token"),
    label: hostile(prng, label),
    proxyName: hostile(prng, "app"),
    localPort: prng.between(1, 65_535),
    trustedCa: prng.chance(0.5)
      ? { kind: "inside", pem: prng.chance(0.6) ? pem : mutateText(pem, prng), fileName: hostile(prng, "frpc.toml") }
      : { kind: "file", path: hostile(prng, "/etc/ca.pem") },
    comments: [hostile(prng, "run: frpc -c frpc.toml"), hostile(prng, "{{")],
    ...(prng.chance(0.3) ? { auth: { kind: "token-file", path: hostile(prng, "/run/token") } } : {}),
  };
}

function judgeFrpcConfig(settings: FrpcSettings, subjects: ConfigSubjects): Outcome {
  const { trustedCa } = settings;
  const isWritable = everyText(settings, (text) => text.isWellFormed());
  const rendered = attempt(() => subjects.renderFrpcConfig(settings), TypeError);
  // Half a surrogate pair in a comment is shown to nobody as such: only values must come back.
  if (rendered === undefined)
    return isWritable && (trustedCa.kind === "file" || trustedCa.pem === pem)
      ? broken("refused", "refusal", "good settings were refused")
      : { code: "refused" };
  const read = parse(rendered) as Record<string, unknown>;
  const expected = {
    serverAddr: settings.serverAddr,
    serverPort: settings.serverPort,
    user: settings.label,
    loginFailExit: false,
    ...(settings.auth === undefined
      ? { metadatas: { token: settings.token } }
      : { auth: { method: "oidc", oidc: { tokenSource: { type: "file", file: { path: settings.auth.path } } } } }),
    transport: {
      tcpMuxKeepaliveInterval: 5,
      tls: { serverName: settings.serverName, trustedCaFile: trustedCa.kind === "inside" ? trustedCa.fileName : trustedCa.path },
    },
    proxies: [{ name: settings.proxyName, type: "http", localPort: settings.localPort, subdomain: settings.label }],
  };
  const { webServer, ...rest } = read;
  if (rendered.includes("{{")) return judged("rendered", "frp's templating would run what is in it");
  if (!isDeepStrictEqual(plain(rest), plain(expected))) return judged("rendered", "what is read is not what was written");
  const password = (webServer as { password?: unknown } | undefined)?.password;
  if (trustedCa.kind === "file" ? webServer !== undefined : typeof password !== "string")
    return judged("rendered", "the CA is not where it belongs");
  if (
    typeof password === "string" &&
    !/^(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----\n)+$/.test(password)
  )
    return judged("rendered", "the CA is more than certificates");
  return { code: "rendered" };
}

function drawFrpsSettings(prng: Prng): FrpsSettings {
  const port = (): number => (prng.chance(0.95) ? prng.between(1, 65_535) : prng.pick([0, -1, 65_536, 1.5]));
  return {
    bindPort: port(),
    vhostHttpPort: port(),
    vhostHttpTimeoutSeconds: prng.between(1, 600),
    dashboardPort: port(),
    dashboardUser: hostile(prng, "keyhole"),
    dashboardPassword: hostile(prng, "secret"),
    hookPort: port(),
    hookUser: hostile(prng, "frps"),
    hookPassword: hostile(prng, "secret"),
  };
}

function judgeFrpsConfig(settings: FrpsSettings, subjects: ConfigSubjects): Outcome {
  // encodeURIComponent has an error of its own for half a surrogate pair.
  const config = attempt(() => deriveFrpsConfig(settings), TypeError, URIError);
  if (config === undefined) return { code: "refused" };
  const rendered = attempt(() => subjects.renderFrpsConfig(config), TypeError);
  if (rendered === undefined)
    return everyText(config, (text) => text.isWellFormed())
      ? broken("refused", "refusal", "a good config was refused")
      : { code: "refused" };
  if (rendered.includes("{{")) return judged("rendered", "frp's templating would run what is in it");
  return judged("rendered", isDeepStrictEqual(plain(parse(rendered)), plain(config)) ? undefined : "what is read is not what was written");
}

const goodConfig: Readonly<Record<string, unknown>> = {
  version: 1,
  domain: "tunnel.localhost",
  stateDir: ".keyhole",
  token: { listen: "127.0.0.1:8787", ttlSeconds: 3600, productName: "Vana Personal Server" },
  control: { listen: "0.0.0.0:7000", host: "127.0.0.1" },
  edge: { listen: "0.0.0.0:7080", publicUrl: "http://{label}.tunnel.localhost:7080", appTimeoutSeconds: 60 },
  frps: { bindPort: 0 },
  plugin: { listen: "127.0.0.1:0" },
  metrics: { listen: "[::1]:9400" },
};

function drawKeyholeConfig(prng: Prng): { readonly text: string; readonly env: Record<string, string> } {
  const value = prng.chance(0.2) ? goodConfig : mutateJson(goodConfig, prng);
  let text: string;
  try {
    text = stringify(value as Record<string, unknown>);
  } catch {
    // Null and its like: TOML has no word for it.
    text = `domain = ${JSON.stringify(randomText(prng))}`;
  }
  const name = prng.pick([
    "KEYHOLE_DOMAIN",
    "KEYHOLE_TOKEN_LISTEN",
    "KEYHOLE_METRICS_LISTEN",
    "KEYHOLE_EDGE_APP_TIMEOUT_SECONDS",
    "KEYHOLE_X",
    "PATH",
  ]);
  const env = prng.chance(0.3)
    ? { [name]: prng.pick([randomText(prng), "0.0.0.0:1", "17", "tunnel.example.org", "[::]:80", "localhost:1"]) }
    : {};
  return { text: prng.chance(0.4) ? mutateText(text, prng) : text, env };
}

function judgeKeyholeConfig(input: unknown, subjects: ConfigSubjects): Outcome {
  const { text, env } = (typeof input === "object" && input !== null ? input : { text: String(input) }) as {
    text?: unknown;
    env?: Record<string, string>;
  };
  let config: ReturnType<typeof parseConfig>;
  try {
    config = subjects.parseConfig({ text: String(text), name: "keyhole.toml", base: "/srv/keyhole", env: env ?? {} });
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return cause.message === "" ? broken(cause.code, "answer", "a fault without a word") : { code: cause.code };
  }
  for (const key of ["token.listen", "plugin.listen", "metrics.listen"] as const) {
    if (!["127.0.0.1", "::1", "localhost"].includes(config[key].host))
      return judged("accepted", `${key} is not on loopback: ${config[key].host}`);
  }
  if (!/^[a-z0-9.-]+\.[a-z0-9-]+$/.test(config.domain)) return judged("accepted", "the domain is none");
  if (!config.stateDir.startsWith("/")) return judged("accepted", "the state directory is not absolute");
  const url = config["edge.publicUrl"];
  const example = url?.replace("{label}", "x");
  if (example !== undefined && !URL.canParse(example)) return judged("accepted", `the public URL is none: ${url}`);
  if (example !== undefined && new URL(example).hostname !== `x.${config.domain}`)
    return judged("accepted", "the public URL is not of the domain");
  return { code: "accepted" };
}

/** The result, or undefined when one of these errors was thrown. Any other is a crash. */
function attempt<T>(work: () => T, ...allowed: readonly (new (...given: never[]) => Error)[]): T | undefined {
  try {
    return work();
  } catch (cause) {
    if (allowed.some((kind) => cause instanceof kind)) return undefined;
    throw cause;
  }
}

function everyText(value: unknown, isFine: (text: string) => boolean): boolean {
  if (typeof value === "string") return isFine(value);
  return typeof value !== "object" || value === null || Object.values(value).every((item) => everyText(item, isFine));
}

/** Without prototypes, which smol-toml's tables do not have. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
