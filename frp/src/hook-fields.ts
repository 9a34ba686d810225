/**
 * The fields of frp's messages, and what each may hold. Types are Go's (frp's pkg/msg/msg.go): a field that is empty is
 * absent, a map or a list may be null. Sizes are ours: a message of frp's wire v1 has 10 KiB, one of v2 64 KiB. What a
 * NewProxy asks for has no size here: whoever judges it refuses it for what it is, not for how much of it there is.
 */

/** Tells whether a field that is present fits. */
type Check = (value: unknown) => boolean;

/** The checks of one message by field name. */
export type Fields = Readonly<Record<string, Check>>;

const maxMetas = 16;
const maxFields = 64;
const maxDepth = 6;

/** A parsed JSON object: not null, not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text =
  (maxLength: number): Check =>
  (value) =>
    typeof value === "string" && value.length <= maxLength;

const flag: Check = (value) => typeof value === "boolean";

/** Go's int. A number beyond 2^53 has lost digits in JSON.parse and is still a number: who asks for it gets it clamped. */
const whole: Check = (value) => typeof value === "number" && Number.isInteger(value);

const instant: Check = (value) => Number.isSafeInteger(value);

const map =
  (maxEntries: number, maxValue: number): Check =>
  (value) =>
    value === null ||
    (isRecord(value) &&
      Object.keys(value).length <= maxEntries &&
      Object.entries(value).every(([key, item]) => key.length <= 128 && text(maxValue)(item)));

/** Any number of any length: the body has its own bound. */
const anyText = text(Number.POSITIVE_INFINITY);
const anyList: Check = (value) => value === null || (Array.isArray(value) && value.every(anyText));
const anyMap: Check = (value) => value === null || (isRecord(value) && Object.values(value).every(anyText));

/** A field that this version of frp does not have is kept as it is; but echoing must not be a way to a deep recursion. */
const shallow = (value: unknown, depth = maxDepth): boolean =>
  typeof value !== "object" || value === null || (depth > 0 && Object.values(value).every((item) => shallow(item, depth - 1)));

/** The user of a session, as every message but Login bears it. */
export const userFields: Fields = { user: text(256), metas: map(maxMetas, 8192), run_id: text(256) };

/** Login. A token or a JWT comes in `metas` or `privilege_key`; `client_address` may be an Origin chosen by the client. */
export const loginFields: Fields = {
  version: text(128),
  hostname: text(512),
  os: text(128),
  arch: text(128),
  user: text(256),
  privilege_key: text(8192),
  timestamp: instant,
  run_id: text(256),
  client_id: text(256),
  metas: map(maxMetas, 8192),
  client_spec: (value) => findMisfit(value, { type: text(64), always_auth_pass: flag }) === undefined,
  pool_count: whole,
  client_address: text(1024),
};

/** NewProxy, without `user`. */
export const newProxyFields: Fields = {
  user: isRecord,
  proxy_name: anyText,
  proxy_type: anyText,
  use_encryption: flag,
  use_compression: flag,
  bandwidth_limit: text(64),
  bandwidth_limit_mode: text(64),
  group: anyText,
  group_key: anyText,
  metas: map(64, 8192),
  annotations: anyMap,
  remote_port: whole,
  custom_domains: anyList,
  subdomain: anyText,
  locations: anyList,
  http_user: text(512),
  http_pwd: text(512),
  host_header_rewrite: anyText,
  headers: map(64, 8192),
  response_headers: anyMap,
  route_by_http_user: text(512),
  sk: text(512),
  allow_users: anyList,
  multiplexer: text(64),
};

/** CloseProxy, without `user`. */
export const closeProxyFields: Fields = { user: isRecord, proxy_name: text(512) };

/** The first field of a message that does not fit, or undefined. Never throws, however deep the value is. */
export function findMisfit(value: unknown, fields: Fields): string | undefined {
  if (!isRecord(value) || Object.keys(value).length > maxFields) return "content";
  for (const [name, check] of Object.entries(fields)) {
    const item = Object.hasOwn(value, name) ? value[name] : undefined;
    if (item !== undefined && !check(item)) return name;
  }
  for (const [name, item] of Object.entries(value)) {
    if (!Object.hasOwn(fields, name) && (name.length > 128 || !shallow(item))) return "content";
  }
  return undefined;
}
