/** The `frpc.toml` that the token service answers with: one self-contained file, so that a person needs curl and stock frpc only. */
import { type FrpcSettings, renderFrpcConfig } from "@keyhole/frp";

/** What the file says. `caPath` undefined: the CA lies inside the file, which then must be run from its own folder. */
export type ClientConfig = {
  readonly grant: {
    readonly token: string;
    readonly subdomain: string;
    readonly serverAddr: string;
    readonly serverPort: number;
    readonly expiresAt: string;
    readonly tunnelUrl: string;
    readonly proxyName: string;
  };
  readonly serverName: string;
  readonly caPem: string;
  readonly localPort: number;
  readonly fileName: string;
  readonly caPath: string | undefined;
  /** Where the token will lie as a JWT, which frpc reads at every login; undefined: the token stands in this file. */
  readonly tokenFile: string | undefined;
};

/** Renders the file. Its first lines tell a person how to run it. */
export function renderClientConfig({ grant, serverName, caPem, localPort, fileName, caPath, tokenFile }: ClientConfig): string {
  const trustedCa: FrpcSettings["trustedCa"] =
    caPath === undefined ? { kind: "inside", pem: caPem, fileName } : { kind: "file", path: caPath };
  const comments = [
    ...(caPath === undefined ? ["cd to this file's folder, then run:", `  frpc -c ${fileName}`] : ["Run:", `  frpc -c ${fileName}`]),
    `Serves http://127.0.0.1:${localPort} at ${grant.tunnelUrl}`,
    ...(tokenFile === undefined
      ? [
          `The token in it is good until ${grant.expiresAt}; a running frpc stays connected when a newer one is asked for before.`,
          "Keep this file to yourself: whoever has it can serve this address.",
        ]
      : [
          `frpc reads the token at every login from ${tokenFile}`,
          `Put the JWT that this service answers with there before, and a newer one by ${grant.expiresAt}; frpc need not be restarted.`,
          "Keep that file to yourself: whoever has it can serve this address.",
        ]),
  ];
  const { serverAddr, serverPort, token, subdomain: label, proxyName } = grant;
  const auth: Pick<FrpcSettings, "auth"> = tokenFile === undefined ? {} : { auth: { kind: "token-file", path: tokenFile } };
  return renderFrpcConfig({ serverAddr, serverPort, serverName, token, ...auth, label, proxyName, localPort, trustedCa, comments });
}
