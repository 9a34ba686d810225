/**
 * frpc of the versions that people have: the real personal server fetches 0.67.0, and the first clients came with 0.58.1.
 * Built from frp's own module, with its own go.mod and go.sum, in a copy: what they embed of a dashboard is an empty page
 * there, because they know no `noweb` and the module of the newer one lacks the built files.
 */
import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { arch, platform } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The versions, and the sum of each one's module: what a proxy serves must be what was built here first. */
export const olderVersions = {
  "0.58.1": { sum: "h1:g9X0KTXxgINBvMLpWUI3VrMjNjB5qgTEexqFT2mgLXc=" },
  "0.67.0": { sum: "h1:w6xHLkruAJcq+fZP9VOiY6w/FBy/wB1aPqA4frs98K8=" },
} as const;

/** A version of frpc that is not the pinned one. */
export type OlderVersion = keyof typeof olderVersions;

const cache = fileURLToPath(new URL("../../.cache/frp", import.meta.url));
const goArch: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };
const goEnvironment = {
  ...process.env,
  PATH: `${process.env["PATH"]}:/usr/local/go/bin`,
  GOFLAGS: "-buildvcs=false",
  GOWORK: "off",
  GOSUMDB: "off",
  GOTOOLCHAIN: "local",
  CGO_ENABLED: "0",
};

/** The path of frpc of this version: what was built before, or built now (about a minute). `say` gets one line a build. */
export async function obtainOlderFrpc(version: OlderVersion, say: (line: string) => void): Promise<string> {
  const home = join(cache, `${version}-${platform()}_${goArch[arch()] ?? arch()}`);
  const frpc = join(home, "frpc");
  if (await tellsItsVersion(frpc, version)) return frpc;
  say(`building frpc ${version} from the Go module (about a minute)`);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, ".work-"));
  try {
    await buildFrpc(version, work);
    await rm(home, { recursive: true, force: true });
    await rename(join(work, "built"), home);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  if (!(await tellsItsVersion(frpc, version))) throw new Error(`${frpc} is not frpc ${version}`);
  return frpc;
}

async function buildFrpc(version: OlderVersion, work: string): Promise<void> {
  const module = JSON.parse(await runGo(["mod", "download", "-json", `github.com/fatedier/frp@v${version}`], work)) as {
    readonly Dir: string;
    readonly Sum: string;
  };
  const { sum } = olderVersions[version];
  if (module.Sum !== sum) throw new Error(`frp ${version}: the module's sum is ${module.Sum}, and must be ${sum}`);
  const source = join(work, "source");
  await copyTree(module.Dir, source);
  for (const folder of ["assets/frpc/static", "web/frpc/dist"]) {
    await mkdir(join(source, folder), { recursive: true });
    await writeFile(join(source, folder, "keyhole-stub.html"), "");
  }
  const flags = ["-trimpath", "-mod=readonly", "-tags", "frpc", "-ldflags", "-s -w"];
  await runGo(["build", ...flags, "-o", join(work, "built", "frpc"), "./cmd/frpc"], source);
}

/** The module cache is read-only; folders made anew can be written into and removed by whoever made them. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    const path = join(to, relative(from, join(entry.parentPath, entry.name)));
    if (entry.isDirectory()) await mkdir(path, { recursive: true });
    else {
      await mkdir(join(to, relative(from, entry.parentPath)), { recursive: true });
      await copyFile(join(entry.parentPath, entry.name), path);
    }
  }
}

async function tellsItsVersion(path: string, version: string): Promise<boolean> {
  return await run(path, ["-v"], {}).then(
    (output) => output.trim() === version,
    () => false,
  );
}

const runGo = (args: readonly string[], cwd: string): Promise<string> => run("go", args, { cwd, env: goEnvironment });

function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let [output, errors] = ["", ""];
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (errors += String(chunk)));
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${command} ${args.slice(0, 2).join(" ")}: status ${status}: ${errors.slice(-2000)}`));
    });
  });
}
