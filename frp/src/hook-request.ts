/**
 * What frps asks its hook: `POST <path>?op=<op>` with `{version, op, content}`. The parser is total and strict: whatever
 * arrives is a request, a request with a field that does not fit (the hook refuses it), or not frps's protocol at all
 * (the hook answers 4xx). frp's words (`run_id`, `metas`) end here, but for `raw`, which an answer gives back.
 */
import { closeProxyFields, type Fields, findMisfit, isRecord, loginFields, newProxyFields, userFields } from "./hook-fields.ts";

/** The operations that are hooked. */
export type HookOp = "Login" | "NewProxy" | "CloseProxy";

/** A client wants in. */
export type LoginContent = {
  readonly privilegeKey: string;
  /** Seconds, by the client's clock; 0 when absent. */
  readonly timestamp: number;
  /** Empty for a process that logs in for the first time. */
  readonly runId: string;
  readonly user: string;
  readonly metas: Record<string, string>;
  /** As received: it may be negative, or so large that it lost digits. */
  readonly poolCount: number;
  /** `ip:port`, or an Origin that a websocket client chose, or `pipe`. */
  readonly clientAddress: string;
  readonly version: string;
  readonly clientSpecType: string;
  /** Every field as received: an answer that changes one gives all of them back. */
  readonly raw: Record<string, unknown>;
};

/** Whose session it is: the values of its Login *as the hook answered it*. */
export type HookUser = { readonly user: string; readonly metas: Record<string, string>; readonly runId: string };

/** A client wants to register a proxy. */
export type NewProxyContent = {
  readonly user: HookUser;
  readonly proxyName: string;
  readonly proxyType: string;
  readonly subdomain: string;
  /** Every field as received. The type of each field that frp 0.71.0 has was checked. */
  readonly raw: Record<string, unknown>;
};

/** A proxy is gone. frps does not wait for an answer, and the message may be late. */
export type CloseProxyContent = { readonly user: HookUser; readonly proxyName: string };

/** One question of frps. */
export type HookRequest =
  | { readonly op: "Login"; readonly content: LoginContent }
  | { readonly op: "NewProxy"; readonly content: NewProxyContent }
  | { readonly op: "CloseProxy"; readonly content: CloseProxyContent };

/** What arrived at the hook. */
export type ParsedHookRequest =
  | { readonly kind: "request"; readonly request: HookRequest }
  | { readonly kind: "malformed"; readonly op: HookOp; readonly field: string }
  | { readonly kind: "op-mismatch" }
  | { readonly kind: "not-frps" };

const contentFields: Readonly<Record<HookOp, Fields>> = {
  Login: loginFields,
  NewProxy: newProxyFields,
  CloseProxy: closeProxyFields,
};

/**
 * Reads a question of frps. `op` is the query parameter, `body` the parsed JSON. Never throws. "not-frps", and
 * "op-mismatch" when body and query name two operations: answer 4xx.
 * "malformed": an op that is hooked, with a field of a wrong type or size; answer a refusal.
 */
export function parseHookRequest(op: string | null, body: unknown): ParsedHookRequest {
  if (isRecord(body) && typeof body["op"] === "string" && body["op"] !== op) return { kind: "op-mismatch" };
  if (op !== "Login" && op !== "NewProxy" && op !== "CloseProxy") return { kind: "not-frps" };
  if (!isRecord(body) || body["op"] !== op || typeof body["version"] !== "string" || !isRecord(body["content"]))
    return { kind: "not-frps" };
  const content = body["content"];
  const misfit = findMisfit(content, contentFields[op]);
  if (misfit !== undefined) return { kind: "malformed", op, field: misfit };
  if (op === "Login") return { kind: "request", request: { op, content: readLogin(content) } };

  const misfitOfUser = findMisfit(content["user"], userFields);
  if (misfitOfUser !== undefined) return { kind: "malformed", op, field: misfitOfUser === "content" ? "user" : `user.${misfitOfUser}` };
  const common = { user: readUser(content["user"]), proxyName: readText(content, "proxy_name") };
  if (op === "CloseProxy") return { kind: "request", request: { op, content: common } };
  const proxy = { ...common, proxyType: readText(content, "proxy_type"), subdomain: readText(content, "subdomain"), raw: content };
  return { kind: "request", request: { op, content: proxy } };
}

function readLogin(content: Record<string, unknown>): LoginContent {
  return {
    privilegeKey: readText(content, "privilege_key"),
    timestamp: readNumber(content, "timestamp"),
    runId: readText(content, "run_id"),
    user: readText(content, "user"),
    metas: readMap(content, "metas"),
    poolCount: readNumber(content, "pool_count"),
    clientAddress: readText(content, "client_address"),
    version: readText(content, "version"),
    clientSpecType: readText(content["client_spec"], "type"),
    raw: content,
  };
}

function readUser(value: unknown): HookUser {
  return { user: readText(value, "user"), metas: readMap(value, "metas"), runId: readText(value, "run_id") };
}

/** The types were checked: what is not a string is absent, and absent is empty. Inherited names are nobody's fields. */
function readText(value: unknown, name: string): string {
  const item = own(value, name);
  return typeof item === "string" ? item : "";
}

function readNumber(value: unknown, name: string): number {
  const item = own(value, name);
  return typeof item === "number" ? item : 0;
}

/** A copy without a prototype: a key like `__proto__` or `constructor` is a key like any other. */
function readMap(value: unknown, name: string): Record<string, string> {
  const copy: Record<string, string> = Object.create(null);
  const item = own(value, name);
  if (!isRecord(item)) return copy;
  for (const [key, text] of Object.entries(item)) if (typeof text === "string") copy[key] = text;
  return copy;
}

function own(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
