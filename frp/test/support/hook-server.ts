/** A hook with a script: it records what frps asks, and answers what the test says. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import {
  type CloseProxyContent,
  deriveLoginKey,
  type HookAnswer,
  type LoginContent,
  type NewProxyContent,
  parseHookRequest,
  renderHookAnswer,
} from "../../src/index.ts";
import { endServer } from "./servers.ts";

/** An answer of ours, or bytes that ours never are. */
type Answer = HookAnswer | { readonly kind: "raw"; readonly body: string; readonly status?: number };

/** What the hook says. Without a script every Login and NewProxy is admitted. */
export type HookScript = {
  login?(content: LoginContent): Answer | Promise<Answer>;
  newProxy?(content: NewProxyContent): Answer | Promise<Answer>;
  closeProxy?(content: CloseProxyContent): Answer | Promise<Answer>;
};

/** A running hook and what it was asked, in order. `others` are ops that production does not hook. */
export type HookServer = {
  readonly port: number;
  readonly logins: LoginContent[];
  readonly newProxies: NewProxyContent[];
  readonly closeProxies: CloseProxyContent[];
  readonly others: { readonly op: string; readonly body: unknown }[];
  readonly requests: {
    readonly url: string;
    readonly authorization: string | undefined;
    readonly requestId: string | undefined;
    /** Calls that came over one connection have the same one. */
    readonly remotePort: number | undefined;
  }[];
  script: HookScript;
  /** Connections of frps that are open now, by their port. */
  connections(): readonly number[];
  /** Nobody listens any more, as when the hook's process has died; \`resume\` listens on the same port again. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Everything asked so far, for a failure's message. */
  describe(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Admits a Login with everything it needs to pass frps's own check. */
export function admit(content: LoginContent, changes: Record<string, unknown> = {}): HookAnswer {
  const { timestamp } = content;
  return { kind: "replace", content: { ...content.raw, privilege_key: deriveLoginKey("", timestamp), ...changes } };
}

/** Registers a proxy for these hosts. */
export function register(content: NewProxyContent, hosts: readonly string[], changes: Record<string, unknown> = {}): HookAnswer {
  return { kind: "replace", content: { ...content.raw, subdomain: "", custom_domains: hosts, ...changes } };
}

/** Starts a hook on a free port. */
export async function startHookServer(script: HookScript = {}): Promise<HookServer> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    hook.requests.push({
      url: request.url ?? "",
      authorization: request.headers.authorization,
      requestId: request.headers["x-frp-reqid"]?.toString(),
      remotePort: request.socket.remotePort,
    });
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    const op = new URL(request.url ?? "", "http://hook").searchParams.get("op");
    const answer = await answerTo(hook, op, body);
    if (answer.kind === "raw") response.statusCode = answer.status ?? 200;
    response.setHeader("content-type", "application/json");
    response.end(answer.kind === "raw" ? answer.body : renderHookAnswer(answer));
  });
  server.keepAliveTimeout = 100_000;
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const hook: HookServer = {
    port,
    logins: [],
    newProxies: [],
    closeProxies: [],
    others: [],
    requests: [],
    script,
    connections: () => [...open].map((socket) => socket.remotePort ?? 0),
    pause: () => endServer(server),
    resume: async () => {
      await once(server.listen(port, "127.0.0.1"), "listening");
    },
    describe: () => JSON.stringify({ logins: hook.logins, newProxies: hook.newProxies, closeProxies: hook.closeProxies }, undefined, 1),
    [Symbol.asyncDispose]: () => endServer(server),
  };
  return hook;
}

async function answerTo(hook: HookServer, op: string | null, body: unknown): Promise<Answer> {
  const parsed = parseHookRequest(op, body);
  if (parsed.kind === "malformed") return { kind: "refuse", reason: `MALFORMED: ${parsed.field}` };
  if (parsed.kind === "not-frps" || parsed.kind === "op-mismatch") {
    hook.others.push({ op: op ?? "", body });
    return { kind: "keep" };
  }
  const { request } = parsed;
  switch (request.op) {
    case "Login":
      hook.logins.push(request.content);
      return hook.script.login?.(request.content) ?? admit(request.content);
    case "NewProxy":
      hook.newProxies.push(request.content);
      return hook.script.newProxy?.(request.content) ?? register(request.content, [`${request.content.subdomain}.tunnel.test`]);
    case "CloseProxy":
      hook.closeProxies.push(request.content);
      return hook.script.closeProxy?.(request.content) ?? { kind: "keep" };
  }
}
