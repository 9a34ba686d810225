/**
 * The ports and passwords between our own parts. A port given as 0 is chosen once and kept in `<stateDir>/ports.json`
 * (0600; 0660 in a shared directory) with the passwords of the hook, the dashboard and the edge, so that a restart changes
 * nothing in frps's configuration.
 */
import { hash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { basename } from "node:path";
import { Fault } from "@keyhole/core";
import { isRecordedAlive, readProcessRecord } from "@keyhole/frp";
import { createPrivateFile, readPrivateFile, writePrivateFile } from "./private-file.ts";

/** What the file holds: a chosen port by its setting, and the passwords. `edgePassword`: the edge shows it to the token service. */
export type InternalPorts = {
  readonly ports: Readonly<Record<string, number>>;
  readonly hookPassword: string;
  readonly dashboardPassword: string;
  readonly edgePassword: string;
};

/** Chosen ports are below the range that the system hands out for outgoing connections, so that they stay free. */
const firstPort = 20_000;
const portCount = 10_000;

/**
 * Opens the file. `wanted` maps a setting to its configured port and host; those of 0 are chosen. Who runs alone
 * chooses anew where somebody else has taken a kept port meanwhile. Where the parts run apart a kept
 * port stays: the one who has taken it is most likely the part that it belongs to.
 */
export async function openPorts(options: {
  readonly file: string;
  readonly wanted: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** The record of a frps that may still run: it holds its kept ports rightly, so they are kept without a look. */
  readonly recordFile: string;
  readonly isAlone: boolean;
  readonly fileMode: number;
  readonly randomBytes: (length: number) => Uint8Array;
}): Promise<InternalPorts> {
  const { file, fileMode, wanted, isAlone } = options;
  const kept = readKept(file);
  const record = readProcessRecord(options.recordFile);
  const isFrpsRunning = record !== undefined && isRecordedAlive(record);
  const mayStay = async (key: string, host: string, port: number): Promise<boolean> =>
    !isAlone || (isFrpsRunning && key.startsWith("frps.")) || (await isFree(host, port));
  // New ports and passwords would cut the parts off from it.
  if (kept === undefined && !isAlone && isFrpsRunning) {
    throw new Fault(
      "STATE_UNWRITABLE",
      `${file} is missing or damaged while frps runs on what it said. Put it back, or end frps first (keyhole supervisor --stop): every client reconnects then.`,
    );
  }
  const ports: Record<string, number> = {};
  const taken = new Set(Object.values(wanted).map(({ port }) => port));
  for (const [key, { host, port }] of Object.entries(wanted)) {
    const former = kept?.ports[key];
    if (port !== 0) ports[key] = port;
    else if (former !== undefined && !taken.has(former) && (await mayStay(key, host, former))) ports[key] = former;
    else ports[key] = await choose(host, taken, options.randomBytes);
    taken.add(ports[key] ?? 0);
  }
  const password = (): string => Buffer.from(options.randomBytes(24)).toString("base64url");
  const opened = {
    ports,
    hookPassword: kept?.hookPassword ?? password(),
    dashboardPassword: kept?.dashboardPassword ?? password(),
    edgePassword: kept?.edgePassword ?? password(),
  };
  const text = `${JSON.stringify(opened, undefined, 2)}\n`;
  if (kept?.isComplete === true && JSON.stringify(opened.ports) === JSON.stringify(kept.ports)) return opened;
  if (kept !== undefined || isDamaged(file)) writePrivateFile(file, text, fileMode);
  else if (!createPrivateFile(file, text, fileMode)) return await openPorts(options); // another part was first: its choice holds
  return opened;
}

const isDamaged = (file: string): boolean => readPrivateFile(file) !== undefined && readKept(file) === undefined;

/** The ports that were chosen, by their settings; none where there is no file, or this user may not read it. */
export function readKeptPorts(file: string): InternalPorts["ports"] {
  try {
    return readKept(file)?.ports ?? {};
  } catch {
    return {};
  }
}

/** What is in the file. `isComplete` false: it was written before the edge had a password. */
function readKept(file: string): (InternalPorts & { readonly isComplete: boolean }) | undefined {
  const text = readPrivateFile(file)?.toString("utf8");
  if (text === undefined) return undefined;
  try {
    const { ports, hookPassword, dashboardPassword, edgePassword } = JSON.parse(text) as Partial<InternalPorts>;
    const isWhole = typeof ports === "object" && ports !== null && isPassword(hookPassword) && isPassword(dashboardPassword);
    if (!isWhole) return undefined;
    const passwords = { hookPassword, dashboardPassword };
    if (isPassword(edgePassword)) return { ports, ...passwords, edgePassword, isComplete: true };
    return { ports, ...passwords, edgePassword: deriveEdgePassword(passwords), isComplete: false };
  } catch {
    return undefined;
  }
}

const isPassword = (text: unknown): text is string => typeof text === "string" && /^[\w-]{32}$/.test(text);

/** Of parts that complete an old file at the same moment, all come to the same password. */
const deriveEdgePassword = (of: { readonly hookPassword: string; readonly dashboardPassword: string }): string =>
  hash("sha256", `edge ${of.hookPassword} ${of.dashboardPassword}`, "buffer").subarray(0, 24).toString("base64url");

async function choose(host: string, taken: ReadonlySet<number>, randomBytes: (length: number) => Uint8Array): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = firstPort + (Buffer.from(randomBytes(4)).readUInt32BE() % portCount);
    if (!taken.has(port) && (await isFree(host, port))) return port;
  }
  throw new Fault(
    "PORT_BUSY",
    `No free port between ${firstPort} and ${firstPort + portCount - 1} on ${host} was found; set the ports in keyhole.toml.`,
  );
}

/** True when nobody listens there now. */
export async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Who listens on a TCP port, as `name (pid 123)`. Undefined where the system does not tell (Linux only, own processes or root). */
export function findPortHolder(port: number): string | undefined {
  try {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    const inodes = new Set(
      ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) =>
        readFileSync(table, "utf8")
          .split("\n")
          .map((line) => line.trim().split(/\s+/))
          .filter((fields) => fields[1]?.endsWith(`:${hex}`) === true && fields[3] === "0A")
          .map((fields) => `socket:[${fields[9]}]`),
      ),
    );
    for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)))
      if (holds(pid, inodes)) return `${basename(readlinkSync(`/proc/${pid}/exe`))} (pid ${pid})`;
  } catch {
    // No /proc: nothing to say.
  }
  return undefined;
}

function holds(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
