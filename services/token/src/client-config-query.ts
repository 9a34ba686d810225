/**
 * The query of a token request: `?exclusive=`, and `?port=`, `?file=`, `?caPath=` and `?tokenFile=`, which are what the
 * rendered frpc.toml says about the caller's own machine.
 * Checked before the proof is spent, and whatever form was asked for: a typing error must not cost a wallet prompt. So a
 * name that we do not know is refused as well: `?exclusve=1` would otherwise leave open what its sender believes ended.
 */
import { grant, type Refusal, refuse, type Verdict } from "@keyhole/core";
import type { ClientConfigOptions } from "./token-app-deps.ts";

const port = /^[1-9][0-9]{0,4}$/;
const fileName = /^(?!\.+$)[A-Za-z0-9._-]{1,64}$/;
const absolutePath = /^(?:\/|[A-Za-z]:[\\/]|\\\\[^\\/])/;
/** No control, format or unassigned characters, no line breaks, and not the mark of an undecodable byte. */
const printable = /^[^\p{C}\p{Zl}\p{Zp}\uFFFD]{1,512}$/u;
const toldNameLength = 64;
const noNames: ReadonlySet<string> = new Set();
const tokenQueryNames: ReadonlySet<string> = new Set(["port", "file", "caPath", "tokenFile", "exclusive"]);

/** What the query of a token request says. */
export type TokenQuery = { readonly config: ClientConfigOptions; readonly isExclusive: boolean };

/** Reads the query of a token request. Never throws. */
export function parseTokenQuery(query: URLSearchParams): Verdict<TokenQuery> {
  const names = checkNames(query, tokenQueryNames);
  if (!names.granted) return names;
  const localPort = query.get("port") ?? "8080";
  if (!port.test(localPort) || Number(localPort) > 65_535) return refuseParameter("port", "must be a whole number from 1 to 65535");
  const file = query.get("file") ?? "frpc.toml";
  if (!fileName.test(file)) return refuseParameter("file", "must be a file's name: 1 to 64 of A-Z a-z 0-9 . _ -");
  const paths: { caPath?: string; tokenFile?: string } = {};
  for (const name of ["caPath", "tokenFile"] as const) {
    const path = query.get(name);
    if (path === null) continue;
    const flaw = findPathFlaw(path);
    if (flaw !== undefined) return refuseParameter(name, flaw);
    paths[name] = path;
  }
  const exclusive = query.get("exclusive");
  if (exclusive !== null && exclusive !== "1") return refuseParameter("exclusive", "must be 1, or left out");
  const config = { localPort: Number(localPort), fileName: file, caPath: paths.caPath, tokenFile: paths.tokenFile };
  return grant({ config, isExclusive: exclusive !== null });
}

/** For an endpoint that has no query: whoever sends one believes that it does something. */
export const refuseQuery = (query: URLSearchParams): Verdict<true> => checkNames(query, noNames);

/** A value that is not allowed, and why. */
export const refuseParameter = (parameter: string, reason: string): { readonly granted: false; readonly refusal: Refusal } =>
  refuse("QUERY_MALFORMED", { parameter: parameter.slice(0, toldNameLength), reason });

function checkNames(query: URLSearchParams, known: ReadonlySet<string>): Verdict<true> {
  const seen = new Set<string>();
  for (const name of query.keys()) {
    if (!known.has(name)) return refuseParameter(name, "there is no such parameter here");
    if (seen.has(name)) return refuseParameter(name, "stands twice");
    seen.add(name);
  }
  return grant(true);
}

/** frpc renders its file as a Go template first, so a path with a template's braces would not be that path any more. */
function findPathFlaw(path: string): string | undefined {
  if (!absolutePath.test(path)) return "must be an absolute path";
  if (!printable.test(path)) return "must be at most 512 printable characters in UTF-8";
  return path.includes("{{") || path.includes("}}") ? "must not hold {{ or }}" : undefined;
}
