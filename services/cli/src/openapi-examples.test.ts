import { renderOpenApi } from "@keyhole/token";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { renderClientConfig } from "./client-config.ts";

const document = JSON.parse(renderOpenApi());
const grant = document.components.schemas.TokenGrant.example;
const [{ serverName, ca: caPem }] = grant.transports;
const shown = document.paths["/v1/tunnel/token"].post.responses["200"].content["application/toml"].examples;
const usual = { grant, serverName, caPem, localPort: 8080, fileName: "frpc.toml", caPath: undefined, tokenFile: undefined };

describe("the frpc.toml that /openapi.json shows", () => {
  it("with the token in it is what the service renders", () => {
    expect(shown.hmac.value).toBe(renderClientConfig(usual));
    expect(parse(shown.hmac.value)).toMatchObject({
      loginFailExit: false,
      metadatas: { token: grant.token },
      transport: { tls: { trustedCaFile: "frpc.toml" } },
    });
  });

  it("with a token file is what the service renders", () => {
    const paths = { tokenFile: "/home/me/tunnel.jwt", caPath: "/home/me/ca.pem" };
    expect(shown.tokenFile.value).toBe(renderClientConfig({ ...usual, ...paths }));
    expect(parse(shown.tokenFile.value)).toMatchObject({
      loginFailExit: false,
      auth: { method: "oidc", oidc: { tokenSource: { file: { path: paths.tokenFile } } } },
      transport: { tls: { trustedCaFile: paths.caPath } },
    });
  });
});
