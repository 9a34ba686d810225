/** The desktop side: keeps one stock frpc running. */
export type { FrpcEvent } from "./frpc-event.ts";
export { type Frpc, type FrpcOptions, startFrpc } from "./frpc-process.ts";
export type { Log } from "./log.ts";
