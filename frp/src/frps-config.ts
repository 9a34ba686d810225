/**
 * The config of frps: a typed object in frp's own keys, and its file. Everything listens on loopback: nobody but the edge
 * talks to frps. `auth.token` is empty because that secret is also the control cipher's key and would have to be the same
 * for everybody: the hook is the only authentication. `subDomainHost` is unset, so the hook alone writes hosts.
 */
import { renderToml } from "./toml.ts";

/** What differs from one installation to the next. Ports are real ones: to frps 0 means its own default, not "any". */
export type FrpsSettings = {
  readonly bindPort: number;
  readonly vhostHttpPort: number;
  /** How long an app may take until its response headers: frps answers 504 then. */
  readonly vhostHttpTimeoutSeconds: number;
  readonly dashboardPort: number;
  readonly dashboardUser: string;
  readonly dashboardPassword: string;
  readonly hookPort: number;
  readonly hookUser: string;
  readonly hookPassword: string;
};

/** The config in frp's own keys. */
export type FrpsConfig = {
  readonly bindAddr: string;
  readonly bindPort: number;
  readonly proxyBindAddr: string;
  readonly vhostHTTPPort: number;
  readonly vhostHTTPTimeout: number;
  readonly auth: { readonly method: "token"; readonly token: string };
  readonly log: { readonly to: string; readonly level: "trace" | "debug" | "info" | "warn" | "error"; readonly disablePrintColor: boolean };
  readonly transport: { readonly tcpMuxKeepaliveInterval: number; readonly tcpMux?: boolean; readonly tls: { readonly force: boolean } };
  readonly webServer: { readonly addr: string; readonly port: number; readonly user: string; readonly password: string };
  readonly httpPlugins: readonly {
    readonly name: string;
    readonly addr: string;
    readonly path: string;
    readonly ops: readonly ("Login" | "NewProxy" | "CloseProxy")[];
  }[];
};

/** The path to which frps posts its questions. It holds no secret: frps logs it when a call fails. */
export const hookPath = "/hook";

const loopback = "127.0.0.1";

/**
 * The config that the design rests on. Throws a TypeError for a port that frps would replace by a default of its own.
 *
 * @example
 * renderFrpsConfig(deriveFrpsConfig(settings)) // the text of frps.toml
 */
export function deriveFrpsConfig(settings: FrpsSettings): FrpsConfig {
  for (const [name, port] of Object.entries({
    bindPort: settings.bindPort,
    vhostHttpPort: settings.vhostHttpPort,
    dashboardPort: settings.dashboardPort,
    hookPort: settings.hookPort,
  })) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError(`${name} must be a port from 1 to 65535`);
  }
  // Empty user and password together would switch the dashboard's authentication off.
  if (settings.dashboardPassword === "" || settings.hookPassword === "") throw new TypeError("a password of frps must not be empty");
  const secret = `${encodeURIComponent(settings.hookUser)}:${encodeURIComponent(settings.hookPassword)}`;
  return {
    bindAddr: loopback,
    bindPort: settings.bindPort,
    proxyBindAddr: loopback,
    vhostHTTPPort: settings.vhostHttpPort,
    vhostHTTPTimeout: settings.vhostHttpTimeoutSeconds,
    auth: { method: "token", token: "" },
    log: { to: "console", level: "info", disablePrintColor: true },
    // Two seconds: a frozen client is noticed after 2 s and frp's 10 s of patience, whatever the client has set.
    // TLS ends at the edge; forcing it here would break wss.
    transport: { tcpMuxKeepaliveInterval: 2, tls: { force: false } },
    webServer: {
      addr: loopback,
      port: settings.dashboardPort,
      user: settings.dashboardUser,
      password: settings.dashboardPassword,
    },
    // The secret is userinfo, which frps sends as Basic authorization and prints as `***`; a path it would print whole.
    // Ping, NewWorkConn and NewUserConn are not hooked: a restart of the hook must not touch a live tunnel.
    httpPlugins: [
      {
        name: "keyhole",
        addr: `http://${secret}@${loopback}:${settings.hookPort}`,
        path: hookPath,
        ops: ["Login", "NewProxy", "CloseProxy"],
      },
    ],
  };
}

/** The text of frps.toml. parse(render(x)) equals x, and no value can reach frp's templating. */
export function renderFrpsConfig(config: FrpsConfig): string {
  return renderToml(config);
}
