/** Where everything listens: what is configured, and a clear word when somebody else is there already. */
import { Fault } from "@keyhole/core";
import type { Config, ListenAddress } from "./config/settings.ts";
import type { ListenerName } from "./inherited-listeners.ts";
import { type PartName, partNames } from "./sockets/socket-path.ts";
import { findPortHolder, isFree } from "./state/ports.ts";

/** frps and its dashboard are never reachable from outside. */
export const loopback = "127.0.0.1";

/** A setting of a listener that can be inherited, by the listener's name. */
export const listenKeys = {
  visitors: "edge.listen",
  control: "control.listen",
  token: "token.listen",
  hook: "plugin.listen",
} as const satisfies Record<ListenerName, string>;

/** What each part listens on. */
export const partListeners: Readonly<Record<PartName, readonly ListenerName[]>> = {
  edge: ["visitors", "control"],
  token: ["token"],
  plugin: ["hook"],
  supervisor: [],
};

/** Every listener and internal port, with what is configured for it; 0 is chosen once. Parts that run apart have a metrics port each, counted from the configured one. */
export function wantedPorts(config: Config, isAlone: boolean): Record<string, ListenAddress> {
  const metrics = config["metrics.listen"];
  const { host, port } = metrics;
  const apart = partNames.map((part, index) => [`metrics.${part}`, { host, port: port === 0 ? 0 : port + index }] as const);
  return {
    ...(isAlone ? { "metrics.listen": metrics } : Object.fromEntries(apart)),
    "token.listen": config["token.listen"],
    "control.listen": config["control.listen"],
    "edge.listen": config["edge.listen"],
    "plugin.listen": config["plugin.listen"],
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
