/** Where everything listens: what is configured, and a clear word when somebody else is there already. */
import { Fault } from "@keyhole/core";
import type { Config, ListenAddress } from "./config/settings.ts";
import { findPortHolder, isFree } from "./state/ports.ts";

/** frps and its dashboard are never reachable from outside. */
export const loopback = "127.0.0.1";

/** Settings of the listeners of our own, which must be free at a start. */
export const listenKeys = ["token.listen", "control.listen", "edge.listen", "plugin.listen", "metrics.listen"] as const;

/** Every listener and internal port, with what is configured for it; 0 is chosen once. */
export function wantedPorts(config: Config): Record<string, ListenAddress> {
  return {
    "token.listen": config["token.listen"],
    "control.listen": config["control.listen"],
    "edge.listen": config["edge.listen"],
    "plugin.listen": config["plugin.listen"],
    "metrics.listen": config["metrics.listen"],
    "frps.bindPort": { host: loopback, port: config["frps.bindPort"] },
    "frps.vhostHttpPort": { host: loopback, port: config["frps.vhostHttpPort"] },
    "frps.dashboardPort": { host: loopback, port: config["frps.dashboardPort"] },
  };
}

/** Throws `Fault("PORT_BUSY")` with the setting, the address and, where the system tells, who holds it. */
export async function requireFree(key: string, host: string, port: number): Promise<void> {
  if (await isFree(host, port)) return;
  const holder = findPortHolder(port);
  throw new Fault(
    "PORT_BUSY",
    `${key}: ${printAddress({ host, port })} is in use${holder === undefined ? "" : ` by ${holder}`}. Stop that, or set ${key} to another port in keyhole.toml.`,
  );
}

/** Prints `host:port`, an IPv6 address in brackets. */
export const printAddress = ({ host, port }: ListenAddress): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
