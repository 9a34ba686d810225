/**
 * The dashboard of frps: who is connected and what is registered, in frps's own eyes. It is the truth that hints like
 * CloseProxy are reconciled with. What is read is parsed strictly: an answer that is not the one of the pinned version is
 * a fault, never half an answer.
 *
 * API v2 (frp's server/http/controller_v2.go) gives at most 200 items at once, and builds and sorts its whole list for
 * every page: 10,000 tunnels cost frps 2 s, and an item can slide from a page that was not read onto one that was. So a
 * list that one page holds is read by v2, and a longer one in one piece by v1 (controller.go): whole at one moment, 0.1 s.
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

/** The most that one page of v2 holds. */
const pageSize = 200;
/** 10,000 proxies are 5 MB; frps remembers those that are gone for a week, and v1 lists them too. */
const maxAnswerBytes = 256 << 20;

/**
 * A client of the dashboard on loopback. Connections are kept. `timeoutMs` is the deadline of a whole read. Only what is
 * online is reported, and of proxies only those of type http: the hook lets no other kind register.
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
  const read = <T extends { readonly isOnline: boolean }>(list: List<T>): Promise<readonly T[]> => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    return readList(list, (path) => get(path, signal)).catch((cause: unknown) => {
      const reason = signal.aborted ? `no answer within ${options.timeoutMs} ms` : cause instanceof Error ? cause.message : String(cause);
      throw new FrpFault("DASHBOARD_UNAVAILABLE", `frps's dashboard did not tell its ${list.name}: ${reason}`, { cause });
    });
  };
  return {
    readClients: () => read(clientList),
    readProxies: () => read(proxyList),
    isHealthy: () =>
      get("/healthz", AbortSignal.timeout(options.timeoutMs)).then(
        (answer) => answer.status === 200,
        () => false,
      ),
  };
}

type Answer = { readonly status: number; readonly text: string };

/** One of frps's lists in both of its forms. */
type List<T> = {
  readonly name: string;
  readonly pagePath: string;
  readonly wholePath: string;
  /** The items in the body of v1. */
  readonly itemsOfWhole: (body: unknown) => unknown;
  readonly parseOfPage: (item: unknown) => T | undefined;
  readonly parseOfWhole: (item: unknown) => T | undefined;
};

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

async function readList<T extends { readonly isOnline: boolean }>(
  list: List<T>,
  get: (path: string) => Promise<Answer>,
): Promise<readonly T[]> {
  const page = parseBody(await get(list.pagePath));
  const data = isRecord(page) && page["code"] === 200 && isRecord(page["data"]) ? page["data"] : {};
  const { total, items } = data;
  if (typeof total !== "number" || !Number.isSafeInteger(total) || total < 0 || !Array.isArray(items)) {
    throw new Error("the answer is not a page of frp's API v2");
  }
  if (total <= pageSize && items.length === total) return parseItems(items, list.parseOfPage);
  const whole = list.itemsOfWhole(parseBody(await get(list.wholePath)));
  if (!Array.isArray(whole)) throw new Error("the answer is not a list of frp's API v1");
  return parseItems(whole, list.parseOfWhole);
}

function parseBody(answer: Answer): unknown {
  if (answer.status !== 200) throw new Error(`status ${answer.status}${answer.status === 401 ? " (user or password is wrong)" : ""}`);
  try {
    return JSON.parse(answer.text);
  } catch {
    throw new Error("the answer is no JSON");
  }
}

function parseItems<T extends { readonly isOnline: boolean }>(items: readonly unknown[], parse: (item: unknown) => T | undefined): T[] {
  return items
    .map((item, index) => {
      const parsed = parse(item);
      if (parsed === undefined) throw new Error(`item ${index} is not what frp's API sends`);
      return parsed;
    })
    .filter((item) => item.isOnline);
}

/** The same object in v1 and v2 (frp's model.ClientInfoResp). */
function parseClient(item: unknown): DashboardClient | undefined {
  if (!isRecord(item)) return undefined;
  const { runID, user, online, clientIP = "" } = item;
  if (typeof runID !== "string" || typeof user !== "string") return undefined;
  if (typeof online !== "boolean" || typeof clientIP !== "string") return undefined;
  return { runId: runID, user, isOnline: online, clientAddress: clientIP };
}

const clientList: List<DashboardClient> = {
  name: "clients",
  pagePath: `/api/v2/clients?status=online&pageSize=${pageSize}`,
  wholePath: "/api/clients?status=online",
  itemsOfWhole: (body) => body,
  parseOfPage: parseClient,
  parseOfWhole: parseClient,
};

const proxyList: List<DashboardProxy> = {
  name: "proxies",
  pagePath: `/api/v2/proxies?status=online&type=http&pageSize=${pageSize}`,
  wholePath: "/api/proxy/http",
  itemsOfWhole: (body) => (isRecord(body) ? body["proxies"] : undefined),
  parseOfPage: (item) => {
    if (!isRecord(item) || !isRecord(item["spec"]) || !isRecord(item["status"])) return undefined;
    return parseProxy(item, item["status"]["phase"], item["spec"]["http"]);
  },
  // What is offline has no config any more.
  parseOfWhole: (item) => (isRecord(item) ? parseProxy(item, item["status"], item["conf"] ?? {}) : undefined),
};

function parseProxy(item: Record<string, unknown>, phase: unknown, config: unknown): DashboardProxy | undefined {
  const { name, user = "", clientID = "" } = item;
  if (typeof name !== "string" || typeof user !== "string" || typeof clientID !== "string") return undefined;
  if ((phase !== "online" && phase !== "offline") || !isRecord(config)) return undefined;
  const { customDomains = [] } = config;
  const hosts = customDomains ?? [];
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === "string")) return undefined;
  return { name, user, clientId: clientID, hosts, isOnline: phase === "online" };
}
