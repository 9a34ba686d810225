/** The composition root, for tests and tools: what the `keyhole` command does, as functions. */
export { type AdminApp, adminEndpoints, createAdminApp } from "./admin/admin-app.ts";
export { startAdminPort } from "./admin/admin-port.ts";
export { type Keyhole, type KeyholeUrls, startKeyhole } from "./compose.ts";
export { loadConfig, parseConfig } from "./config/load-config.ts";
export { type Config, configurationRows, type SettingKey } from "./config/settings.ts";
export { createLog, type Log } from "./log.ts";
export { metricRows } from "./metric-definitions.ts";
export type { MetricSources } from "./metric-sources.ts";
export { createMetrics } from "./metrics.ts";
export { createWorld, type World } from "./world.ts";
