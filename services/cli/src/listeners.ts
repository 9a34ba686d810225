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
  const admin = config["admin.listen"];
  const apart = partNames.map((part, index) => [`metrics.${part}`, { host, port: port === 0 ? 0 : port + index }] as const);
  return {
    ...(isAlone ? { "metrics.listen": metrics } : Object.fromEntries(apart)),
    "token.listen": config["token.listen"],
    "control.listen": config["control.listen"],
    "edge.listen": config["edge.listen"],
    "plugin.listen": config["plugin.listen"],
    ...(admin === undefined ? {} : { "admin.listen": admin }),
    "frps.bindPort": { host: loopback, port: config["frps.bindPort"] },
    "frps.vhostHttpPort": { host: loopback, port: config["frps.vhostHttpPort"] },
    "frps.dashboardPort": { host: loopback, port: config["frps.dashboardPort"] },
  };
}

/** A listener that must be free: the setting to change, and where. */
export type WantedListener = { readonly setting: string; readonly address: ListenAddress };

/** Throws `Fault("PORT_BUSY")` with every setting whose address is taken and, where the system tells, who holds it. */
export async function requireFree(wanted: readonly WantedListener[], hint: string | undefined): Promise<void> {
  const busy: string[] = [];
  for (const { setting, address } of wanted) {
    if (await isFree(address.host, address.port)) continue;
    const holder = findPortHolder(address.port);
    busy.push(`${setting}: ${printAddress(address)} is in use${holder === undefined ? "" : ` by ${holder}`}.`);
  }
  if (busy.length === 0) return;
  const remedy = hint ?? `Stop that, or set ${busy.length === 1 ? "it" : "them"} to another port in keyhole.toml.`;
  throw new Fault("PORT_BUSY", `${busy.join("\n  ")}\n  ${remedy}`);
}

/** Prints `host:port`, an IPv6 address in brackets. */
export const printAddress = ({ host, port }: ListenAddress): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
