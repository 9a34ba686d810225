/** Keeps exactly one stock frps running, and says how it is. */
export { SupervisorFault, type SupervisorFaultCode } from "./fault.ts";
export type { Log } from "./log.ts";
export type { SupervisorState } from "./supervision.ts";
export { type Supervisor, type SupervisorOptions, type SupervisorStatus, startSupervisor } from "./supervisor.ts";
