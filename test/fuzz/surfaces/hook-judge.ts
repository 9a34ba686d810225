/**
 * What the hook gave away, judged by what was sent: for an admitted Login the one credential in it, for an admitted NewProxy
 * its ticket or the session that it names, and in both cases nothing of the client's beside it.
 */
import { createHash } from "node:crypto";
import { type HttpAnswer, judgeHookAnswer } from "../answer-rules.ts";
import type { WireRequest } from "../http-client.ts";
import { createOracle, type Doubt } from "../oracle.ts";
import { isLabel } from "../strict-forms.ts";
import { broken, type Outcome } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { hookAuthorization, revokedUntil } from "./hook-plugin.ts";

type Content = Readonly<Record<string, unknown>>;
const record = (value: unknown): Content =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Content) : {};
const text = (value: unknown): string => (typeof value === "string" ? value : "");

function readContent(body: Uint8Array): Content {
  try {
    return record(record(JSON.parse(Buffer.from(body).toString("utf8")))["content"]);
  } catch {
    return {};
  }
}

/** Which credential a login was admitted with. */
function sortOf(sent: Content): string {
  const metas = record(sent["metas"]);
  const token = text(metas["token"]);
  if (token !== "") return token.startsWith("frp_") ? "hmac" : "jwt";
  if (text(metas["jwt"]) !== "") return "stellar-jwt";
  return text(metas["auth_claim"]) === "" ? "jwt as key" : "claim";
}

const readPart = (part: string): Content => record(JSON.parse(Buffer.from(part, "base64url").toString("utf8")));
const issuedAtOf = (part: string): number => Number(readPart(part)["iat"]);

const proxyFields = new Set(["user", "proxy_name", "proxy_type", "custom_domains", "headers", "response_headers"]);

/** What a proxy must not ask for. */
const refusedFields = [
  "custom_domains",
  "locations",
  "group",
  "host_header_rewrite",
  "headers",
  "response_headers",
  "route_by_http_user",
  "remote_port",
  "multiplexer",
  "annotations",
];

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  value === 0 ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** How the hook is asked. */
export type AskHook = (request: WireRequest) => Promise<HttpAnswer>;

/** Makes the one who asks and judges, for one run. He remembers which sessions there may be: whoever names one is frps, which was told. */
export function createHookJudge(world: FuzzWorld, ask: AskHook): (request: WireRequest) => Promise<Outcome> {
  const oracle = createOracle(world);
  const sessions = new Set<string>();

  async function judge(request: WireRequest): Promise<Outcome> {
    const sent = readContent(request.body);
    noteSession(sent);
    const answer = await ask(request);
    // HEAD has an answer without a body.
    if (request.method === "HEAD")
      return answer.status >= 500 || answer.status === 200
        ? broken("HEAD", "answer", `HEAD got ${answer.status}`)
        : { code: `${answer.status} HEAD` };
    const told = judgeHookAnswer(answer);
    const { content: _content, ...outcome } = told;
    if (answer.status !== 200) return { ...outcome, code: `${answer.status} ${told.code}` };
    const op = /[?&]op=([A-Za-z]+)/.exec(request.path)?.[1] ?? "";
    const code = `${op} ${told.code}`;
    if (told.problem !== undefined) return { ...outcome, code };
    if (request.headers["authorization"] !== hookAuthorization)
      return broken(code, "admission", "somebody who is not frps was answered as frps");
    if (told.code !== "admitted" && told.code !== "kept") return { code };
    const doubt = await doubtAdmission(op, sent, told.content, answer.text);
    if (doubt !== undefined) return broken(code, "admission", doubt);
    return { code: op === "Login" ? `${code} ${sortOf(sent)}` : code };
  }

  async function doubtAdmission(op: string, sent: Content, content: Content | undefined, said: string): Promise<Doubt> {
    if (op === "CloseProxy") return content === undefined ? undefined : "a CloseProxy was rewritten";
    if (content === undefined) return `a ${op} was admitted as it is, which only our own kick may be`;
    return op === "Login" ? await doubtLogin(sent, content, said) : doubtNewProxy(sent, content);
  }

  async function doubtLogin(sent: Content, content: Content, said: string): Promise<Doubt> {
    const label = text(content["user"]);
    if (!isLabel(label)) return "the user of an admitted login is no label";
    const metas = record(sent["metas"]);
    const plainKey = createHash("md5")
      .update(String(sent["timestamp"] ?? 0))
      .digest("hex");
    const key = text(sent["privilege_key"]);
    const [token, jwt, claim] = [text(metas["token"]), text(metas["jwt"]), text(metas["auth_claim"])];
    const places = [token, jwt, claim, key === plainKey ? "" : key].filter((credential) => credential !== "");
    const [credential = ""] = places;
    if (places.length !== 1) return `${places.length} credentials were admitted`;
    if (text(sent["user"]) !== "" && text(sent["user"]).toLowerCase() !== label) return "user is another label";
    const doubt = claim === "" ? await doubtToken(credential, jwt !== "", label) : await doubtClaim(metas, label);
    if (doubt !== undefined) return doubt;
    if (Object.keys(record(content["metas"])).join() !== "session") return "metas of an admitted login are more than a session";
    if (content["privilege_key"] !== plainKey) return "the key that frps is told is not the one of an empty token";
    if (
      content["client_id"] !== "" ||
      !Number.isInteger(content["pool_count"]) ||
      Number(content["pool_count"]) < 0 ||
      Number(content["pool_count"]) > 5
    )
      return "client_id or pool_count was kept";
    if (credential.length > 20 && said.includes(credential)) return "the answer repeats the credential";
    sessions.add(`${label} ${text(record(content["metas"])["session"])}`);
    return oracle.ticket(label, text(content["run_id"]));
  }

  async function doubtClaim(metas: Content, label: string): Promise<Doubt> {
    return (await oracle.claim(metas, { label })) ?? doubtRevoked(label, issuedAtOf(text(metas["auth_claim"])));
  }

  async function doubtToken(credential: string, isStellar: boolean, label: string): Promise<Doubt> {
    if (isStellar)
      return (await oracle.stellarJwt(credential, { label })) ?? doubtRevoked(label, issuedAtOf(credential.split(".")[1] ?? ""));
    const { nowSeconds, ttlSeconds } = world;
    const isHmac = credential.startsWith("frp_");
    const doubt = isHmac ? oracle.hmacToken(credential, { label }) : await oracle.tunnelJwt(credential, { label });
    if (doubt !== undefined) return doubt;
    const payload = isHmac ? {} : readPart(credential.split(".")[1] ?? "");
    const issuedAt = isHmac ? Number(credential.split("_")[2]) : Number(payload["iat"]);
    // Nothing is recorded here, so a token of either form ends by what it says itself.
    const endsAt = isHmac ? issuedAt + Math.min(ttlSeconds, 86_400) : Number(payload["exp"]);
    if (endsAt <= nowSeconds) return "it has expired";
    if (issuedAt > nowSeconds + 2) return "it was issued in the future";
    return doubtRevoked(label, issuedAt);
  }

  const doubtRevoked = (label: string, issuedAt: number): Doubt => {
    const notBefore = revokedUntil(world, label);
    return notBefore !== undefined && issuedAt * 1000 < notBefore.getTime() ? "it is revoked" : undefined;
  };

  /** A session that this run never logged in: its ticket is all that speaks for it. */
  function doubtTicket(label: string, runId: string): Doubt {
    const doubt = oracle.ticket(label, runId);
    if (doubt !== undefined) return `its ticket: ${doubt}`;
    const bytes = Buffer.from(runId, "base64url");
    return bytes.readUInt32BE(10) <= world.nowSeconds ? "its session has ended" : doubtRevoked(label, bytes.readUInt32BE(6));
  }

  /** A good ticket makes a session of the one who is named beside it, also when his proxy is then refused. */
  function noteSession(sent: Content): void {
    const user = record(sent["user"]);
    if (doubtTicket(text(user["user"]), text(user["run_id"])) === undefined) sessions.add(nameOf(user));
  }

  const nameOf = (user: Content): string => `${text(user["user"])} ${text(record(user["metas"])["session"])}`;

  function doubtNewProxy(sent: Content, content: Content): Doubt {
    const user = record(sent["user"]);
    const label = text(user["user"]);
    if (!sessions.has(nameOf(user))) return doubtTicket(label, text(user["run_id"])) ?? "its session was never heard of";
    const hosts = content["custom_domains"];
    if (!Array.isArray(hosts) || hosts.length !== 1 || text(hosts[0]).toLowerCase() !== `${label}.${world.domain}`)
      return "it may serve another host than its own";
    if (content["proxy_type"] !== "http") return "it is no proxy of type http";
    const more = Object.keys(content).find((field) => !proxyFields.has(field));
    if (more !== undefined) return `the field ${more} was kept`;
    if (
      Object.keys(record(content["headers"])).join() !== "X-Forwarded-Proto" ||
      Object.keys(record(content["response_headers"])).join() !== "x-keyhole-app"
    )
      return "headers of its own were kept";
    const refused = refusedFields.find((field) => !isEmpty(sent[field]));
    return refused === undefined ? undefined : `it was admitted although it asks for ${refused}`;
  }

  return judge;
}
