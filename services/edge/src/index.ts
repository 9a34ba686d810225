/**
 * The front door: the Node edge that runs (`startNodeEdge`), and the door through which the plugin changes a running edge
 * (`createDoor`). HAProxy's half and the wss bridge will stand beside them.
 */
export type { ControlLimits } from "./control-limits.ts";
export { createDoor } from "./door.ts";
export type { EdgeRuntime } from "./edge-runtime.ts";
export type { OutcomeClass, RequestClass } from "./edge-stats.ts";
export type { Log } from "./log.ts";
export { type EdgeStats, type NodeEdge, type NodeEdgeOptions, startNodeEdge } from "./node-edge.ts";
