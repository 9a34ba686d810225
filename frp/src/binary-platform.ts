/**
 * The machine in frp's words: release archives and Go name platforms `linux_amd64`, Node names them `linux` and `x64`.
 */
import { arch, platform } from "node:os";

/** The two programs. */
export type Program = "frps" | "frpc";

/** Both, in the order in which they are got. */
export const programs: readonly Program[] = ["frps", "frpc"];

const goArch: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386", riscv64: "riscv64" };

/** `<os>_<arch>` of this machine, as Go and frp's releases write it. */
export function platformName(): string {
  const os = platform() === "win32" ? "windows" : platform();
  return `${os}_${goArch[arch()] ?? arch()}`;
}

/** The program's file name on this machine. */
export function programFile(program: Program): string {
  return platform() === "win32" ? `${program}.exe` : program;
}

/** The name of the release archive of a version for a platform. */
export function releaseArchiveName(version: string, platformOfArchive: string): string {
  return `frp_${version}_${platformOfArchive}.${platformOfArchive.startsWith("windows_") ? "zip" : "tar.gz"}`;
}

/** The environment of a program that needs none. Windows cannot start a process without these. */
export function bareEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return platform() === "win32" ? { SystemRoot: env.SystemRoot, windir: env.windir } : {};
}
