/**
 * Everything we know about stock frp 0.71.0, and nothing about us: its binaries, its two configs, what it asks its hook,
 * how a session is ended, what its dashboard tells, what its log says.
 */
export { type FrpBinaries, locateBinaries, obtainBinaries } from "./binary.ts";
export { type FrpBinary, verifyBinary } from "./binary-digest.ts";
export { createDashboard, type Dashboard, type DashboardClient, type DashboardProxy } from "./dashboard.ts";
export { FrpFault, type FrpFaultCode } from "./fault.ts";
export { type FrpcSettings, renderFrpcConfig } from "./frpc-config.ts";
export { deriveFrpsConfig, type FrpsConfig, type FrpsSettings, hookPath, renderFrpsConfig } from "./frps-config.ts";
export { diffFrpsConfigs } from "./frps-config-diff.ts";
export { verifyFrpsConfig } from "./frps-verify.ts";
export { type HookAnswer, renderHookAnswer } from "./hook-answer.ts";
export {
  type CloseProxyContent,
  type HookOp,
  type HookRequest,
  type HookUser,
  type LoginContent,
  type NewProxyContent,
  type ParsedHookRequest,
  parseHookRequest,
} from "./hook-request.ts";
export { type KickOptions, kick } from "./kick.ts";
export { type FrpLogLine, isWrittenBetween, parseFrpLogLine } from "./log-line.ts";
export { deriveLoginKey } from "./login-key.ts";
export {
  awaitRecordedEnd,
  endRecordedProcess,
  isRecordedAlive,
  type ProcessRecord,
  type RecordedEnd,
  readProcessRecord,
  readStartTime,
  removeProcessRecord,
  writeProcessRecord,
} from "./process-record.ts";
export { frpVersion } from "./version-pin.ts";
