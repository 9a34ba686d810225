/**
 * A client that races: stock frp's messages from a hand of our own, so that a login takes milliseconds, every answer is
 * known, and each login's answers to visitors bear its name. It does not leave because frps or the edge says so: only what
 * they really end is ended.
 */
import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import { deriveLoginKey } from "@keyhole/frp";
import { now } from "../chaos/history.ts";
import { connectRaw, messageType, type RawFrpClient } from "../support/raw-frp-client.ts";
import type { AdmittedLogin } from "./history.ts";

/** What a login is made with. */
export type Credential = { readonly token: string; readonly issuedAt: number };

/** An admitted login that may serve. */
export type Racing = {
  readonly login: AdmittedLogin;
  readonly ticket: string;
  /** Leaves, as a process that is killed. */
  leave(): void;
};

/** Logs in and registers the label's proxy. Resolves to the refusal's code when it is not admitted. */
export async function logIn(
  controlPort: number,
  label: string,
  credential: Credential,
  ticket: string | undefined,
  /** Told of an admitted login before it can serve. */
  note: (login: AdmittedLogin) => void,
): Promise<Racing | string> {
  const client = await connectRaw({ port: controlPort });
  const askedAt = now();
  const timestamp = Math.floor(Date.now() / 1000);
  const answer = await client.login({
    version: "0.71.0",
    hostname: "racer",
    os: "linux",
    arch: "amd64",
    timestamp,
    privilege_key: deriveLoginKey("", timestamp),
    metas: { token: credential.token },
    pool_count: 1,
    ...(ticket === undefined ? {} : { run_id: ticket }),
  });
  const answeredAt = now();
  const runId = answer["run_id"];
  if (typeof answer["error"] === "string" && answer["error"] !== "") {
    client[Symbol.dispose]();
    return /^[A-Z_]+/.exec(answer["error"])?.[0] ?? answer["error"];
  }
  if (typeof runId !== "string" || runId.length !== 63) {
    client[Symbol.dispose]();
    return "NO_TICKET";
  }
  const read = Buffer.from(runId, "base64url");
  const login: AdmittedLogin = {
    id: randomUUID(),
    label,
    askedAt,
    answeredAt,
    generation: read.readUIntBE(0, 6),
    issuedAt: Math.max(credential.issuedAt, read.readUInt32BE(6)),
    credentialIssuedAt: credential.issuedAt,
    endingAt: undefined,
  };
  note(login);
  const ending = (): void => {
    login.endingAt ??= now();
  };
  void client.closed.then(ending);
  void client.control.ended.then(ending);
  serve(client, runId, login.id);
  void client.newProxy({ proxy_name: label, proxy_type: "http", subdomain: label }).catch(() => {});
  return {
    login,
    ticket: runId,
    leave() {
      ending();
      client[Symbol.dispose]();
    },
  };
}

/** Answers whatever comes over a work connection with the name of the login. */
function serve(client: RawFrpClient, runId: string, name: string): void {
  client.control.answerRequests(() => {
    const work = client.newWorkConn({ run_id: runId });
    work.next(messageType.startWorkConn).then(
      (start) => {
        if (start === "ended" || (typeof start["error"] === "string" && start["error"] !== "")) return void work.stream.destroy();
        answerRequests(work.stream, work.release(), name);
      },
      () => work.stream.destroy(),
    );
  });
}

function answerRequests(stream: Duplex, first: Buffer, name: string): void {
  let received = "";
  const take = (bytes: Buffer): void => {
    received += bytes.toString("latin1");
    for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
      received = received.slice(end + 4);
      stream.write(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${name.length}\r\n\r\n${name}`);
    }
  };
  stream.on("error", () => {});
  take(first);
  stream.on("data", take);
  stream.resume();
}
