/** Keeps exactly one stock frps running, and says how it is. */
export { type EndedFrps, endFrps } from "./end-frps.ts";
export { SupervisorFault, type SupervisorFaultCode } from "./fault.ts";
export type { Log } from "./log.ts";
export type { SupervisorStatus } from "./status-board.ts";
export type { SupervisorState } from "./supervision.ts";
export { type Supervisor, type SupervisorOptions, startSupervisor } from "./supervisor.ts";
