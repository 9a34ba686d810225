/**
 * The dashboard of frps (API v2, frp's server/http/controller_v2.go): who is connected and what is registered, in frps's
 * own eyes. It is the truth that hints like CloseProxy are reconciled with. What is read is parsed strictly: an answer
 * that is not the one of the pinned version is a fault, never half an answer.
 */
import { Agent, request } from "node:http";
import { FrpFault } from "./fault.ts";
import { isRecord } from "./hook-fields.ts";

/** A session that frps holds. `runId` is a bearer key: never log it. `clientAddress` is an IP address without port, or an Origin. */
export type DashboardClient = {
  readonly runId: string;
  readonly user: string;
  readonly isOnline: boolean;
  readonly clientAddress: string;
};

/** A proxy that is registered. `clientId` is the run id of its session where the Login had no client id (ours never has). */
export type DashboardProxy = {
  readonly name: string;
  readonly user: string;
  readonly clientId: string;
  /** `custom_domains` as registered, letter case and all. */
  readonly hosts: readonly string[];
  readonly isOnline: boolean;
};

/** What can be asked. The reads throw `DASHBOARD_UNAVAILABLE`; `isHealthy` never throws. */
export type Dashboard = {
  readClients(): Promise<readonly DashboardClient[]>;
  readProxies(): Promise<readonly DashboardProxy[]>;
  isHealthy(): Promise<boolean>;
};

/** The most that frps gives at once. */
const pageSize = 200;
const maxAnswerBytes = 8 << 20;
/** Ten thousand sessions are 50 pages; this only ends a loop with something that is not frps. */
const maxPages = 2000;

/**
 * A client of the dashboard on loopback. Connections are kept. `timeoutMs` is the deadline of a whole read, all pages
 * together. Only what is online is asked for: frps remembers proxies that are gone for a week.
 */
export function createDashboard(options: {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly timeoutMs: number;
}): Dashboard {
  const authorization = `Basic ${Buffer.from(`${options.user}:${options.password}`).toString("base64")}`;
  const agent = new Agent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2 });
  const get = (path: string, signal: AbortSignal): Promise<Answer> =>
    askOnce({ agent, port: options.port, path, authorization, signal }).catch((error: unknown) => {
      // frps closes connections that were idle for a minute, perhaps just as this one was taken up again.
      if (error instanceof StaleConnection) return askOnce({ agent, port: options.port, path, authorization, signal });
      throw error;
    });
  const readAll = <T>(path: string, parse: (item: unknown) => Keyed<T> | undefined): Promise<readonly T[]> => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    return readEverything((page) => get(`${path}?status=online&pageSize=${pageSize}&page=${page}`, signal), parse).catch(
      (cause: unknown) => {
        const reason = signal.aborted ? `no answer within ${options.timeoutMs} ms` : cause instanceof Error ? cause.message : String(cause);
        throw new FrpFault("DASHBOARD_UNAVAILABLE", `frps's dashboard did not answer ${path}: ${reason}`, { cause });
      },
    );
  };
  return {
    readClients: () => readAll("/api/v2/clients", parseClient),
    readProxies: () => readAll("/api/v2/proxies", parseProxy),
    isHealthy: () =>
      get("/healthz", AbortSignal.timeout(options.timeoutMs)).then(
        (answer) => answer.status === 200,
        () => false,
      ),
  };
}

type Answer = { readonly status: number; readonly text: string };
type Keyed<T> = { readonly key: string; readonly value: T };

class StaleConnection extends Error {}

function askOnce(options: { agent: Agent; port: number; path: string; authorization: string; signal: AbortSignal }): Promise<Answer> {
  const { agent, port, path, authorization, signal } = options;
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, agent, signal, headers: { authorization } }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) response.destroy(new Error("the answer is too large"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }));
    });
    asked.on("error", (error: NodeJS.ErrnoException) => {
      const isStale = asked.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
      reject(isStale ? new StaleConnection("the kept connection was closed") : error);
    });
    asked.end();
  });
}

/**
 * Reads page after page. The list may move between two pages, so one read could miss an item that was there all the time
 * (an earlier one left, and it slid onto the page before). A list of several pages is therefore read twice, the second
 * time from its end, and what either read saw counts: something gone for a moment is harmless, something missed is not.
 */
async function readEverything<T>(
  readPage: (page: number) => Promise<Answer>,
  parse: (item: unknown) => Keyed<T> | undefined,
): Promise<readonly T[]> {
  const found = new Map<string, T>();
  const take = async (page: number): Promise<number> => {
    const { total, items } = parsePage(await readPage(page), page, parse);
    for (const { key, value } of items) found.set(key, value);
    return Math.ceil(total / pageSize);
  };
  let pages = await take(1);
  if (pages <= 1) return [...found.values()];
  for (let page = 2; page <= pages; page += 1) pages = Math.min(Math.max(pages, await take(page)), maxPages);
  for (let page = pages; page >= 1; page -= 1) await take(page);
  return [...found.values()];
}

function parsePage<T>(
  answer: Answer,
  page: number,
  parse: (item: unknown) => Keyed<T> | undefined,
): { total: number; items: readonly Keyed<T>[] } {
  if (answer.status !== 200) throw new Error(`status ${answer.status}${answer.status === 401 ? " (user or password is wrong)" : ""}`);
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    throw new Error("the answer is no JSON");
  }
  const data = isRecord(body) && body["code"] === 200 && isRecord(body["data"]) ? body["data"] : undefined;
  const { total, items } = data ?? {};
  if (typeof total !== "number" || !Number.isSafeInteger(total) || total < 0 || !Array.isArray(items)) {
    throw new Error("the answer is not a page of frp's API v2");
  }
  return {
    total,
    items: items.map((item, index) => {
      const parsed = parse(item);
      if (parsed === undefined) throw new Error(`item ${index} of page ${page} is not what frp's API v2 sends`);
      return parsed;
    }),
  };
}

function parseClient(item: unknown): Keyed<DashboardClient> | undefined {
  if (!isRecord(item)) return undefined;
  const { key, runID, user, online, clientIP = "" } = item;
  if (typeof key !== "string" || typeof runID !== "string" || typeof user !== "string") return undefined;
  if (typeof online !== "boolean" || typeof clientIP !== "string") return undefined;
  return { key, value: { runId: runID, user, isOnline: online, clientAddress: clientIP } };
}

function parseProxy(item: unknown): Keyed<DashboardProxy> | undefined {
  if (!isRecord(item) || !isRecord(item["spec"]) || !isRecord(item["status"])) return undefined;
  const { name, user, clientID, spec, status } = item;
  if (typeof name !== "string" || typeof user !== "string" || typeof clientID !== "string") return undefined;
  const { phase } = status;
  if (phase !== "online" && phase !== "offline") return undefined;
  const hosts = parseHosts(spec);
  if (hosts === undefined) return undefined;
  return { key: name, value: { name, user, clientId: clientID, hosts, isOnline: phase === "online" } };
}

/** Only http proxies have hosts here; the hook lets no other kind register. */
function parseHosts(spec: Record<string, unknown>): readonly string[] | undefined {
  const { type, http } = spec;
  if (typeof type !== "string") return undefined;
  if (type !== "http") return [];
  if (!isRecord(http)) return undefined;
  const { customDomains = [] } = http;
  if (!Array.isArray(customDomains) || !customDomains.every((host) => typeof host === "string")) return undefined;
  return customDomains;
}
