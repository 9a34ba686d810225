/**
 * The token service as the contract tests start it: real listener, real store, core's real checks; limits that nobody
 * meets, unless a test says so. And raw HTTP to it.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import {
  mintTunnelToken,
  parseStellarJwt,
  printIdentity,
  printTunnelMessage,
  publicKeyOfSeed,
  refusalCodes,
  verifyProof,
} from "@keyhole/core";
import { openTokenStore } from "@keyhole/store";
import { createTokenApp, startTokenService, type TokenAppDeps, type TokenAppSettings, type TokenServiceOptions } from "@keyhole/token";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { expect } from "vitest";
import { createRecordingLog } from "../support/recording-log.ts";
import { openTemporaryDirectory } from "../support/temporary-directory.ts";
import { recordSecret, recordToken } from "../support/test-record.ts";

/** The words of the signed message. */
export const productName = "Vana Personal Server";
/** Whom Stellar JWTs are for. */
const serverAddress = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(randomBytes(32)) });
const wide = { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000, failedProofsPerMinute: 1_000_000, inFlight: 10_000 };

/** What a test may set. */
export type ServiceOptions = {
  readonly deps?: Partial<Omit<TokenAppDeps, "settings">>;
  readonly settings?: Partial<TokenAppSettings>;
  readonly deadlines?: TokenServiceOptions["deadlines"];
  readonly port?: number;
};

/** Starts one. `faults` is what its log complains about, `logged` every line of it. */
export async function startService({ deps, settings, deadlines, port = 0 }: ServiceOptions = {}) {
  const folder = openTemporaryDirectory();
  const recording = createRecordingLog();
  const store = await openTokenStore({ path: `${folder.path}/tokens.db`, log: recording });
  const faults: object[] = [];
  let requests = 0;
  const newRequestId = () => `request-${String(requests++).padStart(4, "0")}`;
  const log = {
    ...recording,
    error(fields: object, message: string) {
      faults.push(fields);
      recording.error(fields, message);
    },
  };
  const key = { id: "key-1", secret: randomBytes(32) };
  recordSecret("a key of the state directory", key.secret.toString("base64url"));
  const now = deps?.now ?? (() => new Date());
  const app = createTokenApp({
    verifyProof: (order, purpose) => verifyProof(order, { productName, purpose }),
    checkStellarJwt: (jwt) => {
      const parsed = parseStellarJwt(jwt, { audience: serverAddress, now: now() });
      return parsed.granted ? parsed.value.check() : parsed;
    },
    store,
    mintingKeyId: () => key.id,
    mint: async (token) => recordToken(mintTunnelToken(token, key)),
    jwks: async () => ({ keys: [] }),
    readStanding: async () => ({ revocation: undefined, block: undefined }),
    tellRevoked: async () => "enforced",
    readStatus: async () => ({
      status: "disconnected",
      state: "offline",
      lastSeen: null,
      reason: "NEVER_SEEN",
      asOf: new Date(),
      stale: false,
    }),
    readiness: async () => ({ store: { ok: true } }),
    renderClientConfig: () => "",
    caPem: () => "PEM",
    noteRefusal: () => {},
    now,
    newRequestId,
    log,
    ...deps,
    settings: {
      productName,
      ttlSeconds: 3600,
      timestampWindowSeconds: 300,
      tunnelUrl: (label) => `http://${label}.tunnel.localhost:7080`,
      serverAddr: "127.0.0.1",
      serverPort: 7000,
      serverName: "control.tunnel.localhost",
      version: "0.0.0",
      stellarAddress: serverAddress,
      domain: "tunnel.localhost",
      edgePassword: "the edge's own",
      trustedProxies: [],
      limits: wide,
      bodyTimeoutMs: 150,
      ...settings,
    },
  });
  try {
    const service = await startTokenService({
      app,
      host: "127.0.0.1",
      port,
      newRequestId,
      noteRefusal: () => {},
      log,
      ...(deadlines && { deadlines }),
    });
    const stop = async () => {
      await service.stop();
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    };
    return { ...service, app, faults, logged: recording.lines, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
    throw error;
  }
}

/** A running one. */
export type Service = Awaited<ReturnType<typeof startService>>;

/** A wallet, and what it signs. */
export const wallet = privateKeyToAccount(generatePrivateKey());
export const signOrder = async (timestamp = Math.floor(Date.now() / 1000), by = wallet) => ({
  walletAddress: by.address,
  timestamp,
  signature: recordSecret(
    "a proof's signature",
    await by.signMessage({ message: printTunnelMessage({ walletAddress: by.address, timestamp }, productName) }),
  ),
});

/** Writes bytes to the listener and reads until it closes the connection. `half` closes our side at once. */
export function exchange(port: number, bytes: Buffer | string, half = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end after 5 s of ${JSON.stringify(bytes.toString("latin1").slice(0, 200))}: ${Buffer.concat(chunks)}`));
    }, 5000);
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", finish).on("error", finish).on("close", finish);
    if (half) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** Parses the first answer of a connection and holds it against the rule for refusals. */
export function judge(text: string): {
  status: number;
  code: string | undefined;
  headers: string;
  problem: Record<string, unknown>;
} {
  const [headers = "", body = ""] = text.split("\r\n\r\n", 2);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(headers)?.[1]);
  if (status >= 200 && status < 300) return { status, code: undefined, headers, problem: {} };
  expect(headers, text).toMatch(/^content-type: application\/problem\+json$/im);
  expect(headers).toMatch(/^access-control-allow-origin: \*$/im);
  expect(headers).toMatch(/^x-request-id: [A-Za-z0-9-]{8,64}$/im);
  const problem = JSON.parse(/^transfer-encoding: chunked$/im.test(headers) ? (body.split("\r\n")[1] ?? "") : body);
  expect(refusalCodes).toContain(problem.code);
  expect(problem.status).toBe(status);
  return { status, code: problem.code, headers, problem };
}

/** A request as bytes; the connection ends with the answer. */
export const request = (line: string, headers: readonly string[] = [], body = "") =>
  `${line} HTTP/1.1\r\nHost: x.localhost\r\nConnection: close\r\n${headers.map((header) => `${header}\r\n`).join("")}\r\n${body}`;
export const post = (headers: readonly string[], body = "") => request("POST /v1/tunnel/token", headers, body);
export const json = "Content-Type: application/json";
