/** The public API: the app without a port for most, and its real listener for bytes that no client library would send. */
import { startTokenService } from "@keyhole/token";
import type { Prng } from "../../chaos/prng.ts";
import { type HttpAnswer, judgeProblem } from "../answer-rules.ts";
import { readRequest, requestOf, type WireRequest } from "../http-client.ts";
import { mintProof, mintStellarJwt } from "../mint.ts";
import { mutateBytes, mutateJson, mutateText, printOddJson, randomText } from "../mutate.ts";
import { createOracle, type Doubt, type Oracle } from "../oracle.ts";
import { stillAnswers, talkRaw } from "../raw-bytes.ts";
import { isWholeSeconds, strictObject } from "../strict-forms.ts";
import { broken, type OpenSurfaces, type Outcome, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { drawProof } from "./credentials.ts";
import { drawRawRequest } from "./raw-requests.ts";
import { createFuzzTokenApp, edgePassword } from "./token-app.ts";
import { drawText } from "./variants.ts";

/** How the API is asked. A test of the oracle answers itself. */
export type AskApi = (request: WireRequest) => Promise<HttpAnswer>;

/** Makes the app, and serves it on a port too. */
export async function openTokenSurfaces(world: FuzzWorld): Promise<OpenSurfaces> {
  await using stack = new AsyncDisposableStack();
  const app = createFuzzTokenApp(world);
  const ask: AskApi = async ({ method, path, headers, body }) => {
    const hasBody = method !== "GET" && method !== "HEAD";
    const request = new Request(`http://localhost${path}`, { method, headers, ...(hasBody ? { body: Buffer.from(body) } : {}) });
    const response = await app.fetch(request);
    return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
  };
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const service = stack.use(
    await startTokenService({
      app,
      host: "127.0.0.1",
      port: 0,
      newRequestId: () => "request-00000000",
      noteRefusal: () => {},
      log: silent,
    }),
  );
  const surfaces = [createTokenSurface(world, ask), createTokenBytesSurface(world, service.port)];
  const opened = stack.move();
  return { surfaces, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** `token`: every route of the public API. */
export function createTokenSurface(world: FuzzWorld, ask: AskApi): Surface {
  const oracle = createOracle(world);
  const spent: Spent = new Map();
  return {
    name: "token",
    share: 4,
    lanes: 8,
    mustSee: [
      "200 token",
      "200 revoke",
      "SIGNER_MISMATCH",
      "SIGNATURE_INVALID",
      "TIMESTAMP_STALE",
      "BODY_INVALID_JSON",
      "IDEMPOTENCY_KEY_REUSED",
      "NOT_FOUND",
    ],
    make: (prng) => requestOf(drawApiRequest(world, prng)),
    run: async (input) => {
      const request = readRequest(input);
      return await judgeApi(world, oracle, spent, request, await ask(request));
    },
  };
}

const others = [
  "/",
  "/health",
  "/healthz",
  "/readyz",
  "/info",
  "/openapi.json",
  "/.well-known/jwks.json",
  "/v1/tunnel/ca.pem",
  "/v1/tunnel/token/",
  "//",
  "/v1/tunnel/status/x",
  "/v1/%74unnel/token",
];

function drawApiRequest(world: FuzzWorld, prng: Prng): WireRequest {
  const chance = prng.next();
  if (chance < 0.08) {
    const path = prng.chance(0.5)
      ? prng.pick(others)
      : `/v1/tunnel/status/${encodeURIComponent(mutateText(prng.pick(world.wallets).address, prng).toWellFormed())}`;
    const isAltered = prng.chance(0.2);
    return {
      method: prng.pick(["GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE"]),
      path: isAltered ? `/${mutateText(path.slice(1), prng).replace(/[^\x21-\x7e]/g, "%00")}` : path,
      headers: {},
      body: Buffer.alloc(0),
    };
  }
  const { body, purpose, isGood } = drawProof(world, prng);
  const said = chance < 0.95 ? (isGood || prng.chance(0.9) ? purpose : prng.pick(["token", "revoke"])) : "token";
  const query = prng.chance(0.85)
    ? ""
    : prng.pick([
        "?exclusive=1",
        "?exclusive=2",
        "?port=0",
        "?port=80&port=81",
        "?file=../x",
        "?caPath=/x",
        "?%",
        "?exclusive=1&exclusive=1",
      ]);
  const headers: Record<string, string> = {
    "content-type": prng.chance(0.97)
      ? "application/json"
      : prng.pick(["text/plain", "application/json; charset=utf-16", "application/jsonx", ""]),
    ...(prng.chance(0.1) ? { "idempotency-key": prng.pick(["k", "k", "", "x".repeat(256), "a b"]) } : {}),
    ...(prng.chance(0.05) ? { accept: prng.pick(["application/toml", "*/*", "text/html;q=x", ",", "application/toml;q=0"]) } : {}),
    ...(prng.chance(0.05) ? { "x-forwarded-for": randomText(prng).replace(/[^\x21-\x7e]/g, "") } : {}),
    ...(prng.chance(0.05) ? { "x-keyhole-edge": prng.pick([edgePassword, edgePassword.slice(1), "", `${edgePassword}, x`]) } : {}),
    ...(prng.chance(0.02) ? { "content-encoding": "gzip" } : {}),
    ...(prng.chance(0.03) ? { authorization: prng.pick(["Basic eA==", "Bearer", "Bearer ", "bearer x", "Web3Signed x.y"]) } : {}),
  };
  const path = `/v1/tunnel/${said}${query}`;
  if (chance > 0.85) {
    const jwt = drawText(prng, (good) => mintStellarJwt(world, prng, good), []).text.replace(/[^\x21-\x7e]/g, "?");
    const mayHaveBody = prng.chance(0.2)
      ? Buffer.from(JSON.stringify(prng.pick<unknown>([{ tokenType: "jwt" }, {}, body])))
      : Buffer.alloc(0);
    return { method: "POST", path, headers: { ...headers, authorization: `Bearer ${jwt}` }, body: mayHaveBody };
  }
  const fields = isGood && prng.chance(0.3) && purpose === "token" ? { ...(body as object), tokenType: "jwt" } : body;
  const text =
    isGood || prng.chance(0.9) ? (JSON.stringify(fields) ?? "") : printOddJson(prng.chance(0.5) ? fields : mutateJson(fields, prng), prng);
  return { method: "POST", path, headers, body: prng.chance(0.97) ? Buffer.from(text) : mutateBytes(Buffer.from(text), prng) };
}

async function judgeApi(world: FuzzWorld, oracle: Oracle, spent: Spent, request: WireRequest, answer: HttpAnswer): Promise<Outcome> {
  const { status, text } = answer;
  const path = request.path.replace(/\?.*$/, "");
  if (answer.headers["x-request-id"] === undefined) return broken(String(status), "answer", "the answer has no X-Request-Id");
  if (request.method === "HEAD")
    return status < 500 && text === ""
      ? { code: `HEAD ${status}` }
      : broken(`HEAD ${status}`, "answer", "HEAD has a body, or a fault of ours");
  if (request.method === "OPTIONS")
    return status === 204 && text === ""
      ? { code: "OPTIONS" }
      : broken(`OPTIONS ${status}`, "answer", "a preflight is answered with 204 and nothing");
  if (status >= 400) return judgeProblem(answer);
  if (status !== 200 && status !== 202) return broken(String(status), "answer", `${status} is none of ours`);
  if (request.method !== "POST")
    return text === "" ? broken(String(status), "answer", "an answer with nothing in it") : { code: `${status} ${request.method}` };
  const purpose = path.endsWith("/revoke") ? "revoke" : "token";
  const code = `${status} ${purpose}`;
  const doubt = await doubtGrant(world, oracle, spent, purpose, request, answer);
  return doubt === undefined ? { code } : broken(code, "admission", doubt);
}

/** An answer of 200 to a POST has given something away: to whom, and with what right? */
async function doubtGrant(
  world: FuzzWorld,
  oracle: Oracle,
  spent: Spent,
  purpose: "token" | "revoke",
  request: WireRequest,
  answer: HttpAnswer,
): Promise<Doubt> {
  const jwt = /^bearer +(.+)$/i.exec(request.headers["authorization"] ?? "")?.[1];
  const body = strictObject(request.body) ?? (request.body.length === 0 && jwt !== undefined ? {} : undefined);
  if (body === undefined) return "the body is no object, or names a member twice";
  const isToml = answer.headers["content-type"] === "application/toml";
  const told = isToml ? { subdomain: answer.text.slice(2).trim() } : strictObject(answer.text);
  if (told === undefined) return "the answer is no object";
  const label = String(purpose === "token" ? told["subdomain"] : told["walletAddress"]).toLowerCase();
  if (jwt !== undefined) {
    if (purpose === "revoke") return "a JWT, which buys tokens, ended them";
    if (body["signature"] !== undefined) return "two proofs were taken for one";
    const doubt = await oracle.stellarJwt(jwt, { label });
    if (doubt !== undefined) return doubt;
    const claims = JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8")) as { iat: number };
    return spend(spent, `jwt ${label} ${claims.iat}`, request) ?? (isToml ? undefined : await doubtToken(world, oracle, told, label));
  }
  const doubt = await oracle.proof(body, purpose, label);
  if (doubt !== undefined) return doubt;
  const { timestamp } = body;
  if (!isWholeSeconds(timestamp) || Math.abs(timestamp - world.nowSeconds) > 300) return "its timestamp is outside the window";
  const unknown = Object.keys(body).find(
    (name) => !["walletAddress", "timestamp", "signature", ...(purpose === "token" ? ["tokenType"] : [])].includes(name),
  );
  if (unknown !== undefined) return `the field ${unknown} was let pass`;
  return (
    spend(spent, `${purpose} ${label} ${timestamp}`, request) ??
    (purpose === "revoke" || isToml ? undefined : await doubtToken(world, oracle, told, label))
  );
}

/** What each proof means, and the request that it came with. */
type Spent = Map<string, string>;

/** One proof, one token: by what it means, however it is spelt. Only the very same request with its key gets it again. */
function spend(spent: Spent, meaning: string, { headers, path, body }: WireRequest): Doubt {
  const request = JSON.stringify([path, headers["authorization"], headers["idempotency-key"] ?? "", Buffer.from(body).toString("base64")]);
  const former = spent.get(meaning);
  if (former !== undefined && (former !== request || headers["idempotency-key"] === undefined))
    return "this proof had bought something before";
  spent.set(meaning, request);
  return undefined;
}

async function doubtToken(world: FuzzWorld, oracle: Oracle, told: Readonly<Record<string, unknown>>, label: string): Promise<Doubt> {
  const { token, tokenType, expiresAt } = told;
  if (typeof token !== "string" || typeof expiresAt !== "string") return "there is no token in the answer";
  const granted = { label, issuedAt: world.now.getTime() };
  const doubt = tokenType === "jwt" ? await oracle.tunnelJwt(token, granted) : oracle.hmacToken(token, granted);
  if (doubt !== undefined) return `the token that was sold: ${doubt}`;
  return new Date(expiresAt).getTime() === world.now.getTime() + world.ttlSeconds * 1000
    ? undefined
    : "the token is said to end at another second";
}

/** `token-bytes`: anything at all at the listener. */
function createTokenBytesSurface(world: FuzzWorld, port: number): Surface {
  let tried = 0;
  return {
    name: "token-bytes",
    share: 0.5,
    lanes: 8,
    mustSee: [],
    make: (prng) =>
      drawRawRequest(prng, {
        path: "/v1/tunnel/token",
        authorization: "Basic eA==",
        message: () => JSON.stringify(mintProof(world, prng, true, "token")),
      }),
    run: async (input) => {
      tried += 1;
      const outcome = await talkRaw(port, input, (answer) => (answer.status < 400 ? { code: "answered" } : judgeProblem(answer)));
      if (tried % 50 !== 0 || (await stillAnswers(port))) return outcome;
      return broken("dead", "crash", "the listener does not answer any more");
    },
  };
}
