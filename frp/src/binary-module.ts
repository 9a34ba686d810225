/**
 * frps and frpc built from frp's Go module: the way that is open wherever Go and a module proxy are. `frp/go.mod` and
 * `frp/go.sum` are copied first, because Go completes go.mod as it builds. Every module must be one that our go.sum
 * names: the checksum database is not asked (it does not know frp's fork of yamux), so a line that Go had to add would
 * be a module nobody vouched for, and fails the build.
 */
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { programFile, programs } from "./binary-platform.ts";
import { describeOutcome, run } from "./binary-run.ts";
import { FrpFault } from "./fault.ts";
import type { VersionPin } from "./version-pin.ts";

const moduleFiles = fileURLToPath(new URL("..", import.meta.url));

/** What helps when Go cannot. */
const otherWays = "Or set FRPS_BIN and FRPC_BIN to frp binaries of this version, or run this where the release archives can be fetched.";

/** Builds both programs below `workDirectory` and returns their directory. Throws `FRP_BUILD_FAILED`. */
export async function buildFromModule(options: {
  readonly pin: VersionPin;
  readonly workDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  say(line: string): void;
}): Promise<string> {
  const { pin } = options;
  const env = goEnvironment(options.env);
  const found = await requireGo(pin, env, options.workDirectory);
  const source = join(options.workDirectory, "module");
  const directory = join(options.workDirectory, "built");
  await mkdir(source);
  await mkdir(directory);
  for (const file of ["go.mod", "go.sum"]) await copyFile(join(moduleFiles, file), join(source, file));

  options.say(`building frps and frpc ${pin.version} from the Go module with go ${found} (about half a minute)`);
  for (const program of programs) {
    const flags = ["-trimpath", "-buildvcs=false", "-tags", `${program},noweb`, "-ldflags", "-s -w"];
    const command = ["build", ...flags, "-o", join(directory, programFile(program)), `${pin.goModule.path}/cmd/${program}`];
    const outcome = await run("go", command, { cwd: source, env, timeoutMs: 900_000 });
    if (outcome.kind === "exited" && outcome.status === 0) continue;
    throw new FrpFault("FRP_BUILD_FAILED", `go could not build ${program} ${pin.version}: ${describeOutcome(outcome)}. ${otherWays}`);
  }
  await requireSameSums(source);
  return directory;
}

/** The caller's environment, so that a module proxy or a cache is found; less what would build for another machine. */
function goEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  const { GOOS: _os, GOARCH: _arch, GOEXPERIMENT: _experiment, ...kept } = env;
  return { ...kept, GOFLAGS: "-mod=mod", GOWORK: "off", GOSUMDB: "off", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
}

async function requireGo(pin: VersionPin, env: Readonly<Record<string, string | undefined>>, cwd: string): Promise<string> {
  const outcome = await run("go", ["version"], { env, cwd, timeoutMs: 30_000 });
  if (outcome.kind !== "exited" || outcome.status !== 0) {
    throw new FrpFault(
      "FRP_BUILD_FAILED",
      `frp ${pin.version} must be built here, which takes Go ${pin.minimumGo} or newer, and go does not run: ${describeOutcome(outcome)}. ` +
        `Install Go ${pin.minimumGo} or newer and put it on the PATH. ${otherWays}`,
    );
  }
  const found = /\bgo([0-9]+(?:\.[0-9]+){1,2})/.exec(outcome.output)?.[1] ?? "of an unknown version";
  if (isAtLeast(found, pin.minimumGo)) return found;
  throw new FrpFault(
    "FRP_BUILD_FAILED",
    `frp ${pin.version} must be built here, which takes Go ${pin.minimumGo} or newer; the go on the PATH is ${found}. Install a newer one. ${otherWays}`,
  );
}

/** Compares dotted versions by number. What is no version is older than everything. */
export function isAtLeast(found: string, wanted: string): boolean {
  const [a, b] = [found.split(".").map(Number), wanted.split(".").map(Number)];
  for (let index = 0; index < 3; index += 1) {
    const [x, y] = [a[index] ?? 0, b[index] ?? 0];
    if (Number.isNaN(x)) return false;
    if (x !== y) return x > y;
  }
  return true;
}

async function requireSameSums(source: string): Promise<void> {
  const lines = async (path: string) => (await readFile(path, "utf8")).split(/\r?\n/);
  const known = new Set(await lines(join(moduleFiles, "go.sum")));
  const added = (await lines(join(source, "go.sum"))).filter((line) => !known.has(line));
  if (added.length === 0) return;
  const names = added.slice(0, 3).map((line) => line.split(" ").slice(0, 2).join(" "));
  throw new FrpFault(
    "FRP_BUILD_FAILED",
    `the build took modules that frp/go.sum does not name (${names.join(", ")}). Nothing was installed. Restore frp/go.mod and frp/go.sum.`,
  );
}
