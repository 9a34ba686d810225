/**
 * The config of frpc: one http proxy, the tunnel token in `metadatas.token` (never in `auth.token`, which is a cipher key)
 * or, as a JWT, in a file that frpc reads anew at each login, and a pinned CA. The CA's PEM can lie in the same file: frpc reads certificates from any file, so the file names itself
 * as `trustedCaFile` and holds the PEM as a string of several lines under a key that is never sent and starts nothing
 * (`webServer.password` with no `webServer.port`).
 */
import { renderComment, renderToml } from "./toml.ts";

/** What a client's file is made of. */
export type FrpcSettings = {
  readonly serverAddr: string;
  readonly serverPort: number;
  /** The address of this machine that frpc dials from; any when absent. */
  readonly localAddress?: string;
  /** The name that the control certificate must bear. */
  readonly serverName: string;
  /** The tunnel token, unless `auth` says where frpc finds it. */
  readonly token: string;
  /** A file with a JWT: frpc sends its content as the `privilege_key` of each login, and nothing of it stands in the config. */
  readonly auth?: { readonly kind: "token-file"; readonly path: string };
  /** Becomes frpc's `user`, which frpc puts before its proxy names, and the subdomain it asks for. */
  readonly label: string;
  /** As written in the file: frpc sends `<label>.<proxyName>`. */
  readonly proxyName: string;
  readonly localPort: number;
  /** Inside this file, whose own name is `fileName`, or in a file of its own. */
  readonly trustedCa:
    | { readonly kind: "inside"; readonly pem: string; readonly fileName: string }
    | { readonly kind: "file"; readonly path: string };
  /** Lines for a person, at the head of the file. */
  readonly comments: readonly string[];
};

const certificate = /-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/=]+\r?\n)+-----END CERTIFICATE-----/g;

/**
 * The text of frpc.toml. Throws a TypeError for a `pem` without a certificate.
 *
 * @example
 * renderFrpcConfig({ ...settings, trustedCa: { kind: "inside", pem, fileName: "frpc.toml" } })
 */
export function renderFrpcConfig(settings: FrpcSettings): string {
  const { trustedCa, auth } = settings;
  const head = settings.comments.map((line) => `${renderComment(line)}\n`).join("");
  const body = renderToml({
    serverAddr: settings.serverAddr,
    serverPort: settings.serverPort,
    user: settings.label,
    // Else frpc gives up for ever when its first login meets a second in which nobody answers.
    loginFailExit: false,
    ...(auth === undefined
      ? { metadatas: { token: settings.token } }
      : { auth: { method: "oidc", oidc: { tokenSource: { type: "file", file: { path: auth.path } } } } }),
    transport: {
      ...(settings.localAddress === undefined ? {} : { connectServerLocalIP: settings.localAddress }),
      tcpMuxKeepaliveInterval: 5,
      tls: { serverName: settings.serverName, trustedCaFile: trustedCa.kind === "inside" ? trustedCa.fileName : trustedCa.path },
    },
    // frps writes the host itself, but frpc refuses a file in which a proxy of type http asks for none.
    proxies: [{ name: settings.proxyName, type: "http", localPort: settings.localPort, subdomain: settings.label }],
  });
  return [head, body, trustedCa.kind === "inside" ? renderInsideCa(trustedCa.pem) : ""].filter((part) => part !== "").join("\n");
}

/** TOML drops the line break right after the opening quotes, so the value is the PEM itself, each line on its own. */
function renderInsideCa(pem: string): string {
  const blocks = pem.match(certificate);
  if (blocks === null) throw new TypeError("the trusted CA is no PEM certificate");
  const text = blocks.map((block) => `${block.replaceAll("\r\n", "\n")}\n`).join("");
  const comment = "# The authority that signed the server's certificate: trustedCaFile above is this file. The key is never sent.\n";
  return `${comment}[webServer]\npassword = """\n${text}"""\n`;
}
