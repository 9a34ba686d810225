import { grant, type Label, type Refusal, refuse } from "@keyhole/core";
import type { HookAnswer, NewProxyContent } from "@keyhole/frp";
import { describe, expect, it } from "vitest";
import { createRefusalAnswers } from "../refusal-answers.ts";
import { createSessionRegistry, type Session } from "../session-registry.ts";
import { answerNewProxy, type NewProxyDeps } from "./new-proxy.ts";

const ids = { requestId: "request-1", frpRequestId: "frp-1" };
const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const other = "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359" as Label;
const sessionOf = (id: string, of: Label): Session => ({ id, label: of, ticket: `ticket of ${id}` }) as Session;

function startOperation(options: {
  readonly isAdopted?: boolean;
  readonly resumed?: Session;
  readonly limited?: boolean;
  readonly refused?: Refusal;
  readonly kick?: () => Promise<void>;
}) {
  const kicked: string[] = [];
  const opened: string[] = [];
  const resumed: unknown[] = [];
  const lines: string[] = [];
  const write = (fields: object) => void lines.push(JSON.stringify(fields));
  const refusals = createRefusalAnswers();
  const registry = createSessionRegistry();
  registry.add(sessionOf("mine", label));
  registry.add(sessionOf("theirs", other));
  const deps: NewProxyDeps = {
    adoption: { isDone: options.isAdopted === undefined, adopt: async () => {}, awaitLabel: async () => options.isAdopted === true },
    registry,
    authority: {
      resume: async (client: unknown) => {
        resumed.push(client);
        return options.resumed === undefined ? refuse("TOKEN_EXPIRED") : grant(options.resumed);
      },
      openTunnel: async (session: Session, name: string) => {
        opened.push(`${session.id} ${name}`);
        return options.refused;
      },
    } as unknown as NewProxyDeps["authority"],
    kicks: {
      kick: async (runId) => {
        kicked.push(runId);
        await options.kick?.();
      },
      take: () => false,
    },
    limits: { takeProxy: () => (options.limited === true ? refuse("RATE_LIMITED", { retryAfterSeconds: 9 }).refusal : undefined) },
    refusals,
    domain: "example",
    scheme: "https",
    marker: "x-mark",
    nextMask: () => 0,
    log: { debug: write, info: write, warn: write, error: write },
  };
  const answer = async (fields: Record<string, unknown> = {}, session?: string, user: string = label, runId = "run"): Promise<HookAnswer> =>
    await answerUser({ user, metas: { session: session ?? "mine" }, runId }, fields);
  const answerUser = async (user: NewProxyContent["user"], fields: Record<string, unknown> = {}): Promise<HookAnswer> => {
    const raw = { user: { user: user.user }, proxy_name: `${label}.app`, proxy_type: "http", subdomain: label, ...fields };
    const proxy: NewProxyContent = {
      user,
      proxyName: raw.proxy_name,
      proxyType: raw.proxy_type,
      subdomain: raw.subdomain,
      raw,
    };
    const given = await answerNewProxy(proxy, ids, deps);
    // The kick is made after the answer.
    await new Promise(setImmediate);
    return given;
  };
  return { answer, answerUser, kicked, opened, resumed, lines, refusals };
}
const codeOf = (answer: HookAnswer): string => (answer.kind === "refuse" ? (answer.reason.split(":")[0] ?? "") : "admitted");

it("1: a proxy of the session is registered under its label's own host", async () => {
  const operation = startOperation({});
  expect(await operation.answer()).toMatchObject({ kind: "replace", content: { custom_domains: [`${label}.example`] } });
  expect([operation.opened, operation.kicked]).toEqual([[`mine ${label}.app`], []]);
});

it("a session that nobody here admitted is judged by its ticket", async () => {
  expect(codeOf(await startOperation({ resumed: sessionOf("again", label) }).answer({}, "unknown"))).toBe("admitted");
  const operation = startOperation({});
  expect([codeOf(await operation.answer({}, "unknown")), operation.kicked]).toEqual(["TOKEN_EXPIRED", ["run"]]);
  expect(operation.resumed).toEqual([{ id: "unknown", label, ticket: "run" }]);
});

it("1: nobody's label is judged by no ticket", async () => {
  const operation = startOperation({ resumed: sessionOf("again", label) });
  expect(codeOf(await operation.answer({}, "unknown", "nobody"))).toBe("SESSION_UNKNOWN");
  expect([operation.resumed, operation.opened]).toEqual([[], []]);
});

it("2: without a session id it is nobody's, whatever its ticket says: two clients would be one session", async () => {
  const operation = startOperation({ resumed: sessionOf("", label) });
  expect([codeOf(await operation.answer({}, "")), operation.kicked, operation.opened]).toEqual(["SESSION_UNKNOWN", ["run"], []]);
  expect(codeOf(await operation.answerUser({ user: label, metas: {}, runId: "run" }))).toBe("SESSION_UNKNOWN");
  expect(operation.resumed).toEqual([]);
});

describe("a proxy that is refused", () => {
  it("1: for another's session, or nobody's label, is followed by a kick: the client comes back and logs in", async () => {
    const operation = startOperation({});
    expect(codeOf(await operation.answer({}, "theirs"))).toBe("SESSION_UNKNOWN");
    expect(codeOf(await operation.answer({}, "mine", "nobody"))).toBe("SESSION_UNKNOWN");
    expect([operation.kicked, operation.opened]).toEqual([["run", "run"], []]);
    expect(operation.refusals.counts.get("SESSION_UNKNOWN")).toBe(2);
  });

  it("for what the authority says is followed by a kick too", async () => {
    const operation = startOperation({ refused: refuse("SESSION_ENDED").refusal });
    expect([codeOf(await operation.answer()), operation.kicked]).toEqual(["SESSION_ENDED", ["run"]]);
  });

  it("because it is not known yet who is served is followed by a kick, unless that is known in time", async () => {
    const operation = startOperation({ isAdopted: false });
    expect([codeOf(await operation.answer()), operation.kicked]).toEqual(["STARTING_UP", ["run"]]);
    expect(codeOf(await startOperation({ isAdopted: true }).answer())).toBe("admitted");
  });

  it.each([
    ["for what it asks", {}, { proxy_type: "tcp" }, "PROXY_TYPE"],
    ["for a name of everybody's", {}, { proxy_name: "personal-server" }, "PROXY_NAME_SHARED"],
    ["for a name of somebody else's", {}, { proxy_name: `${other}.app` }, "PROXY_NAME"],
    ["for another's label", {}, { subdomain: other }, "SUBDOMAIN_NOT_OWNED"],
    ["for an option", {}, { locations: ["/"] }, "LOCATIONS_FORBIDDEN"],
    ["because there were too many", { limited: true }, {}, "RATE_LIMITED"],
  ] as const)("%s is not: the same client would ask the same again", async (_what, options, fields, code) => {
    const operation = startOperation(options);
    expect([codeOf(await operation.answer(fields)), operation.kicked, operation.opened]).toEqual([code, [], []]);
  });

  it.each(["PROXY_LIMIT", "ADDRESS_BLOCKED"] as const)("because of %s is not either: it would be refused again at once", async (code) => {
    const operation = startOperation({ refused: refuse(code).refusal });
    expect([codeOf(await operation.answer()), operation.kicked]).toEqual([code, []]);
  });

  it("2: for what it asks is not counted: it used up what its session's good ones need", async () => {
    const operation = startOperation({ limited: true });
    expect(codeOf(await operation.answer({ proxy_type: "tcp" }))).toBe("PROXY_TYPE");
  });

  it("says how long to wait, and which field is wrong", async () => {
    expect(await startOperation({ limited: true }).answer()).toMatchObject({ reason: expect.stringContaining("retryAfterSeconds: 9") });
    expect(await startOperation({}).answer({ sk: "x" })).toMatchObject({ reason: expect.stringContaining("(field: sk)") });
  });

  it("9: is logged with its code and whose it is, and without the run id, as one that is admitted is", async () => {
    const operation = startOperation({});
    await operation.answer({ sk: "x" }, "mine", label, "secret");
    await operation.answer({}, "mine", label, "secret");
    expect(operation.lines.map((line) => JSON.parse(line))).toEqual([
      { event: "proxy.refused", code: "PROXY_FIELD", facts: { field: "sk" }, ...ids, label },
      { event: "proxy.admitted", label, session: "mine", ...ids },
    ]);
  });
});

describe("the kick after a refusal", () => {
  it("is not sent where there is no run id to send it to", async () => {
    const operation = startOperation({});
    expect([codeOf(await operation.answer({}, "theirs", label, "")), operation.kicked]).toEqual(["SESSION_UNKNOWN", []]);
  });

  it("4: changes nothing about the answer when it fails, and is logged", async () => {
    const operation = startOperation({ kick: () => Promise.reject(new Error("frps is silent")) });
    expect(codeOf(await operation.answer({}, "theirs"))).toBe("SESSION_UNKNOWN");
    expect([operation.kicked, operation.lines.at(-1)]).toEqual([["run"], '{"cause":"Error: frps is silent"}']);
  });
});
