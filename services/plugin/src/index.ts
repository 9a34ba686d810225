/** The plugin: answers frps's hook and owns the live sessions. */
export type { BreakerState } from "./circuit-breaker.ts";
export type { FrpsView, ReadFrps } from "./frps-view.ts";
export type { SendKick } from "./kicks.ts";
export type { LimitSettings } from "./login-limits.ts";
export type { OperatorOrders, Ordered } from "./operator-orders.ts";
export { type Plugin, type PluginDeps, type PluginStats, startPlugin } from "./plugin.ts";
export { type EvictionStage, evictionStages, type PluginFigures } from "./plugin-figures.ts";
export type { SessionView } from "./session-view.ts";
