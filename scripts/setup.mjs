#!/usr/bin/env node
/**
 * Brings everything that a bare machine lacks: Node 24, the workspace's packages, frps and frpc. Node built-ins only, so
 * that it runs on Node 20 before anything is installed. Safe to run twice; what is there already is kept.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readFlags } from "./read-flags.mjs";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const cache = join(root, ".cache");
const nodeVersion = "24.21.0";
const pnpmVersion = "12.21.0";
const isWindows = process.platform === "win32";

/**
 * Sets everything up. Returns the Node to run our TypeScript with, and an environment whose PATH begins with it and with
 * the workspace's commands. Throws an Error whose message says what to do.
 */
export function setUp() {
  const node = obtainNode();
  const env = { ...process.env, PATH: [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(isWindows ? ";" : ":") };
  installPackages(node, env);
  // Its own check of the cached digests is cheap; it downloads or builds only what is missing.
  run(
    node,
    [join(root, "frp", "src", "obtain-binaries.ts"), join(cache, "frp")],
    env,
    "frps and frpc could not be set up; the lines above say why.",
  );
  linkNode(node);
  return { node, env };
}

/** `.cache/bin/node` is our Node, for units and scripts that start a part without npm. */
function linkNode(node) {
  if (isWindows) return;
  const link = join(cache, "bin", "node");
  if (existsSync(link) && realpathSync(link) === realpathSync(node)) return;
  mkdirSync(join(cache, "bin"), { recursive: true });
  const fresh = `${link}.${process.pid}`;
  symlinkSync(node, fresh);
  renameSync(fresh, link);
}

/** Node 24 runs our TypeScript as it is. The npm package of this platform holds nothing but the binary. */
function obtainNode() {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  const platform = isWindows ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const home = join(cache, "node", nodeVersion);
  const binary = join(home, "node_modules", name, "bin", isWindows ? "node.exe" : "node");
  if (existsSync(binary)) return binary;
  say(`Node ${nodeVersion} is fetched: this is Node ${process.versions.node}.`);
  const fresh = `${home}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, "package.json"), '{ "private": true }\n');
  npm(
    ["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error", `${name}@${nodeVersion}`],
    fresh,
    `Node ${nodeVersion} could not be fetched from the npm registry. Install Node 24 or newer yourself, then run this again.`,
  );
  rmSync(home, { recursive: true, force: true });
  renameSync(fresh, home);
  return binary;
}

/** Installs from the lockfile, unless exactly this lockfile is installed already. */
function installPackages(node, env) {
  const marker = join(root, "node_modules", ".keyhole-installed");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .update(readFileSync(join(root, "pnpm-workspace.yaml")))
    .update(node)
    .digest("hex");
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) return;
  say("The workspace's packages are installed.");
  npm(
    [
      "exec",
      "--yes",
      "--loglevel=error",
      `--package=pnpm@${pnpmVersion}`,
      "--",
      "pnpm",
      "install",
      "--frozen-lockfile",
      "--reporter=append-only",
      "--loglevel=warn",
    ],
    root,
    "The packages could not be installed from the lockfile.",
    env,
  );
  writeFileSync(marker, wanted);
}

function npm(args, cwd, advice, env = process.env) {
  // npm's own settings of an outer `npm start` must not leak into the inner call.
  const clean = Object.fromEntries(
    Object.entries(env).filter(
      ([name]) =>
        !/^npm_(config_|lifecycle|package|execpath|node_execpath|command)/i.test(name) ||
        /^npm_config_(registry|cache|proxy|https_proxy|noproxy|cafile|userconfig)$/i.test(name),
    ),
  );
  run(isWindows ? "npm.cmd" : "npm", args, clean, advice, cwd);
}

function run(command, args, env, advice, cwd = root) {
  const result = spawnSync(command, args, { cwd, env, stdio: ["ignore", 2, 2], shell: isWindows });
  if (result.status !== 0) throw new Error(`${advice}${result.error === undefined ? "" : ` (${result.error.message})`}`);
}

function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  readFlags("setup", "npm run setup\n  brings what is missing: Node 24, the packages, frps and frpc; it takes no flags", {});
  try {
    setUp();
    say("Everything is there.");
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
