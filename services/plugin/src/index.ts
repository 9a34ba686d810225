/** The plugin: answers frps's hook and owns the live sessions. */
export type { FrpsView, ReadFrps } from "./frps-view.ts";
export type { SendKick } from "./kicks.ts";
export { type Plugin, type PluginDeps, type PluginStats, startPlugin } from "./plugin.ts";
