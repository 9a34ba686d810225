/**
 * Reads `keyhole.toml` and the environment into a `Config`. Every problem is reported at once, with the key, what it must
 * be, and for an unknown key the nearest one that exists. An empty variable is an absent one; a variable beats the file.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Fault } from "@keyhole/core";
import { parse, TomlError } from "smol-toml";
import { logLevels } from "../log-levels.ts";
import { credentialForm } from "../state/secret-file.ts";
import { type Config, environmentName, type SettingKey, settings } from "./settings.ts";

const keys = Object.keys(settings) as SettingKey[];
const pathKeys: ReadonlySet<string> = new Set(["stateDir", "edge.certFile", "edge.keyFile", "admin.keyFile", "stellar.serverSecretFile"]);
/** Variables that are read elsewhere: the log's level, and where frp's releases come from. */
const otherVariables: ReadonlySet<string> = new Set(["KEYHOLE_LOG_LEVEL", "KEYHOLE_FRP_RELEASES"]);

/**
 * Loads the configuration. `file` undefined: `keyhole.toml` in `cwd` if it is there, else the embedded default. Throws
 * `Fault("CONFIG_INVALID")` with every problem on a line of its own, or `CONFIG_UNREADABLE`.
 */
export function loadConfig(options: {
  readonly file: string | undefined;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isThere?: (path: string) => boolean;
}): Config {
  const implicit = resolve(options.cwd, "keyhole.toml");
  const file = options.file === undefined ? (existsSync(implicit) ? implicit : undefined) : resolve(options.cwd, options.file);
  return parseConfig({
    text: file === undefined ? "" : readConfigFile(file),
    name: file ?? "the environment",
    base: file === undefined ? options.cwd : dirname(file),
    env: options.env,
    ...(options.isThere === undefined ? {} : { isThere: options.isThere }),
  });
}

/**
 * The pure half of `loadConfig`: TOML text and an environment in, settings out. `base` is what paths are relative to. With `isThere` a
 * file that is named and is not there is a problem too: whoever only reads the configuration need not see the files of every part.
 */
export function parseConfig(source: {
  readonly text: string;
  readonly name: string;
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isThere?: (path: string) => boolean;
}): Config {
  const problems: string[] = [];
  const given = new Map<string, { value: unknown; from: string }>();
  for (const [key, value] of flatten(parseToml(source.text, source.name))) {
    if (keys.includes(key as SettingKey)) given.set(key, { value, from: key });
    else problems.push(`${key}: unknown key${suggest(key, keys)}`);
  }
  const variables = new Map(keys.map((key) => [environmentName(key), key]));
  for (const [name, text] of Object.entries(source.env)) {
    if (!name.startsWith("KEYHOLE_") || text === undefined || text === "" || otherVariables.has(name)) continue;
    const key = variables.get(name);
    if (key === undefined) problems.push(`${name}: unknown variable${suggest(name, [...variables.keys()])}`);
    else given.set(key, { value: readVariable(key, text), from: name });
  }
  const config: Record<string, unknown> = {};
  for (const key of keys) {
    const entry = given.get(key) ?? { value: settings[key].fallback, from: key };
    const result = settings[key].schema.safeParse(entry.value);
    if (!result.success) problems.push(`${entry.from}: ${[...new Set(result.error.issues.map(({ message }) => message))].join("; ")}`);
    else config[key] = pathKeys.has(key) && typeof result.data === "string" ? resolvePath(source.base, result.data) : result.data;
  }
  // Whoever sits between us and the gateway could answer in its name.
  if (source.env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0")
    problems.push("NODE_TLS_REJECT_UNAUTHORIZED: must not be 0, for then no certificate is checked; unset it");
  const level = source.env["KEYHOLE_LOG_LEVEL"];
  if (level !== undefined && level !== "" && !logLevels.some((known) => known === level))
    problems.push(`KEYHOLE_LOG_LEVEL: must be one of ${logLevels.join(", ")}`);
  problems.push(...crossCheck(config as Partial<Config>, (key) => given.has(key)));
  if (source.isThere !== undefined) problems.push(...findMissingFiles(config as Partial<Config>, source.isThere));
  if (problems.length > 0)
    throw new Fault(
      "CONFIG_INVALID",
      `The configuration (${source.name}) has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
  return config as Config;
}

/** A variable is text: what it is meant as depends on the setting. Lists are separated by commas. */
function readVariable(key: SettingKey, text: string): unknown {
  const { fallback } = settings[key];
  if (typeof fallback === "number") return /^-?[0-9]+$/.test(text) ? Number(text) : text;
  if (typeof fallback === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (Array.isArray(fallback))
    return text
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
  return text;
}

/** A credential of systemd is a name, not a path. */
const resolvePath = (base: string, text: string): string => (credentialForm.test(text) ? text : resolve(base, text));

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new Fault(
      "CONFIG_UNREADABLE",
      `The configuration file ${file} cannot be read (${(cause as NodeJS.ErrnoException).code}); check the path given with --config.`,
      { cause },
    );
  }
}

function parseToml(text: string, name: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.replace(/^Invalid TOML document: /, "").split("\n")[0];
    throw new Fault("CONFIG_INVALID", `${name} is not valid TOML: line ${cause.line}, column ${cause.column}: ${reason}`, { cause });
  }
}

function* flatten(table: Record<string, unknown>, prefix = ""): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(table)) {
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
    if (isTable && prefix === "") yield* flatten(value as Record<string, unknown>, `${name}.`);
    else yield [prefix + name, value];
  }
}

/** What no setting can say alone. A setting that is wrong by itself is not in `config`, and is told already. */
function crossCheck(config: Partial<Config>, isGiven: (key: SettingKey) => boolean): string[] {
  const problems: string[] = [];
  if (isGiven("edge.certFile") !== isGiven("edge.keyFile"))
    problems.push("edge.certFile, edge.keyFile: set both for HTTPS, or neither for plain HTTP");
  if (isGiven("admin.listen") !== isGiven("admin.keyFile"))
    problems.push("admin.listen, admin.keyFile: set both for the admin API on a port, or neither: the socket is always there");
  const url = config["edge.publicUrl"];
  if (
    url !== undefined &&
    config.domain !== undefined &&
    !new RegExp(`^https?://\\{label\\}\\.${config.domain.replaceAll(".", "\\.")}(:|$)`).test(url)
  )
    problems.push(`edge.publicUrl: must be of the domain, as in https://{label}.${config.domain}`);
  if (config["vana.requireRegistration"] === true && !isGiven("vana.gatewayUrl"))
    problems.push("vana.requireRegistration: needs vana.gatewayUrl, the gateway that knows who is registered");
  const used = new Map<number, string>();
  const claim = (key: string, port: number | undefined): void => {
    if (port === undefined || port === 0) return;
    const other = used.get(port);
    if (other !== undefined) problems.push(`${key}: port ${port} is ${other}'s already`);
    used.set(port, key);
  };
  for (const key of ["token.listen", "control.listen", "edge.listen", "plugin.listen", "admin.listen", "metrics.listen"] as const)
    claim(key, config[key]?.port);
  for (const key of ["frps.bindPort", "frps.vhostHttpPort", "frps.dashboardPort"] as const) claim(key, config[key]);
  return problems;
}

/** Files that are named and are not there. A credential of systemd is there when the unit runs. */
function findMissingFiles(config: Partial<Config>, isThere: (path: string) => boolean): string[] {
  return (["edge.certFile", "edge.keyFile", "admin.keyFile", "stellar.serverSecretFile"] as const).flatMap((key) => {
    const path = config[key];
    return path === undefined || credentialForm.test(path) || isThere(path) ? [] : [`${key}: there is no file ${path}`];
  });
}

/** Names the nearest existing key, if one is near enough to be meant. */
function suggest(unknown: string, known: readonly string[]): string {
  const ranked = known
    .map((key) => ({ key, distance: editDistance(unknown.toLowerCase(), key.toLowerCase()) }))
    .sort((first, second) => first.distance - second.distance);
  const longer = known.find((key) => key.toLowerCase().startsWith(unknown.toLowerCase()));
  const best = longer === undefined ? ranked[0] : { key: longer, distance: 0 };
  return best !== undefined && best.distance <= Math.max(3, unknown.length / 3) ? `; did you mean ${best.key}?` : "";
}

/** Levenshtein's distance. */
function editDistance(first: string, second: string): number {
  let row = Array.from({ length: second.length + 1 }, (_, index) => index);
  for (let i = 1; i <= first.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= second.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (first[i - 1] === second[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[second.length] ?? 0;
}
