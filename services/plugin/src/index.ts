/** The plugin: answers frps's hook and owns the live sessions. */
export type { SendKick } from "./kicks.ts";
export { type Plugin, type PluginDeps, type PluginStats, startPlugin } from "./plugin.ts";
export type { FrpsView, ReadFrps } from "./upkeep.ts";
