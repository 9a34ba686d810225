/** `keyhole config check|show`: what is configured, and whether it can work. */
import { existsSync } from "node:fs";
import { loadConfig } from "../config/load-config.ts";
import { type ListenAddress, type SettingKey, settings } from "../config/settings.ts";
import { printAddress } from "../listeners.ts";

/** Checks the configuration: prints one line, or throws the fault with every problem. */
export function runConfigCheck(options: { readonly config?: string }): void {
  loadConfig({ file: options.config, cwd: process.env["INIT_CWD"] ?? process.cwd(), env: process.env, isThere: existsSync });
  process.stdout.write("The configuration is valid.\n");
}

/** Prints every setting with its value in force: as TOML, those without one as comments, or as JSON. Nothing secret is a setting. */
export function runConfigShow(options: { readonly config?: string; readonly json?: boolean }): void {
  const config = loadConfig({ file: options.config, cwd: process.env["INIT_CWD"] ?? process.cwd(), env: process.env });
  const entries = (Object.keys(settings) as SettingKey[]).map((key) => {
    const value = config[key];
    return [key, isListen(value) ? printAddress(value) : value] as const;
  });
  if (options.json === true) process.stdout.write(`${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`);
  else
    for (const [key, value] of entries)
      process.stdout.write(value === undefined ? `# ${key} is not set\n` : `${key} = ${JSON.stringify(value)}\n`);
}

const isListen = (value: unknown): value is ListenAddress => typeof value === "object" && value !== null && "port" in value;
