/**
 * `?port=`, `?file=`, `?caPath=` and `?tokenFile=` of a token request: what the rendered frpc.toml says about the caller's
 * own machine.
 * Checked before the proof is spent, and whatever form was asked for: a typing error must not cost a wallet prompt.
 */
import { grant, refuse, type Verdict } from "@keyhole/core";
import type { ClientConfigOptions } from "./token-app-deps.ts";

const port = /^[1-9][0-9]{0,4}$/;
const fileName = /^(?!\.+$)[A-Za-z0-9._-]{1,64}$/;
const absolutePath = /^(?:\/|[A-Za-z]:[\\/]|\\\\[^\\/])/;
/** No control, format or unassigned characters, no line breaks, and not the mark of an undecodable byte. */
const printable = /^[^\p{C}\p{Zl}\p{Zp}\uFFFD]{1,512}$/u;

/** Reads the query. Parameters of other names are ignored; ours may be given once. Never throws. */
export function parseClientConfigQuery(query: URLSearchParams): Verdict<ClientConfigOptions> {
  for (const name of ["port", "file", "caPath", "tokenFile"]) {
    if (query.getAll(name).length > 1) return refuse("QUERY_MALFORMED", { parameter: name });
  }
  const localPort = query.get("port") ?? "8080";
  if (!port.test(localPort) || Number(localPort) > 65_535) return refuse("QUERY_MALFORMED", { parameter: "port" });
  const file = query.get("file") ?? "frpc.toml";
  if (!fileName.test(file)) return refuse("QUERY_MALFORMED", { parameter: "file" });
  const caPath = query.get("caPath") ?? undefined;
  if (caPath !== undefined && !isUsablePath(caPath)) return refuse("QUERY_MALFORMED", { parameter: "caPath" });
  const tokenFile = query.get("tokenFile") ?? undefined;
  if (tokenFile !== undefined && !isUsablePath(tokenFile)) return refuse("QUERY_MALFORMED", { parameter: "tokenFile" });
  return grant({ localPort: Number(localPort), fileName: file, caPath, tokenFile });
}

/** frpc renders its file as a Go template first, so a path with a template's braces would not be that path any more. */
function isUsablePath(path: string): boolean {
  return printable.test(path) && absolutePath.test(path) && !path.includes("{{") && !path.includes("}}");
}
