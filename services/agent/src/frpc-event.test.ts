import { expect, test } from "vitest";
import { parseFrpcLine } from "./frpc-event.ts";

const line = (message: string, level = "I") => `\u001b[0m\u001b[1;34m2026-01-31 12:00:00.123 [${level}] [client/service.go:332] ${message}`;
const meaning = (text: string) => parseFrpcLine(text).meaning;
const runId = "7d61b2601c8e61af";

test("the lines of stock frpc are told apart", () => {
  expect(meaning(line(`[${runId}] login to server success, get run id [${runId}]`))).toEqual({ kind: "connected" });
  expect(meaning(line(`[${runId}] [personal-server-0xab] start proxy success`))).toEqual({
    kind: "proxy-started",
    proxy: "personal-server-0xab",
  });
  expect(meaning(line(`[${runId}] [web] start error: PROXY_TYPE: only http. Use http`, "W"))).toEqual({
    kind: "refused",
    stage: "proxy",
    reason: "PROXY_TYPE: only http. Use http",
  });
  expect(meaning(line("try to connect to server..."))).toEqual({ kind: "trying" });
  expect(meaning(line(`[${runId}] try to connect to server...`))).toEqual({ kind: "trying" });
  expect(meaning(line(`[${runId}] proxy added: [web]`))).toMatchObject({ kind: "line", level: "info" });
});

test("a server that says no is told from a network that is down", () => {
  for (const reason of [
    "TOKEN_EXPIRED: it ended. Sign again",
    "token in login doesn't match token from configuration",
    "send Login request to plugin error",
  ]) {
    expect(meaning(line(`connect to server error: ${reason}`, "W"))).toEqual({ kind: "refused", stage: "login", reason });
  }
  for (const reason of [
    "dial tcp 127.0.0.1:7000: connect: connection refused",
    "dial tcp: lookup tunnel.example: no such host",
    "EOF",
    "i/o deadline reached",
    "session shutdown",
    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer",
  ]) {
    expect(meaning(line(`[${runId}] connect to server error: ${reason}`, "W"))).toEqual({ kind: "disconnected", reason });
  }
});

test("the farewell of a frpc that may not retry is a refusal with the reason alone", () => {
  expect(
    meaning(
      "login to the server failed: TOKEN_EXPIRED: it ended. Sign again. With loginFailExit enabled, no additional retries will be attempted",
    ),
  ).toEqual({ kind: "refused", stage: "login", reason: "TOKEN_EXPIRED: it ended. Sign again" });
});

test("a reason that imitates good news stays a refusal", () => {
  expect(meaning(line(`connect to server error: x [web] start proxy success`, "W"))).toMatchObject({ kind: "refused" });
  expect(meaning(line(`[${runId}] [web] start error: [web] start proxy success`, "W"))).toMatchObject({ kind: "refused" });
  expect(meaning("[web] start proxy success")).toMatchObject({ kind: "line" });
});

test("9: neither run id nor ticket nor tunnel token comes through", () => {
  const ticket = "Zm9v".repeat(15).concat("abc");
  const token = `frp_${"QWxh".repeat(14)}_1764000000_${"ab".repeat(32)}`;
  for (const text of [
    line(`[${ticket}] login to server success, get run id [${ticket}]`),
    line(`[${runId}] login to server success, get run id [${runId}]`),
    line(`[${ticket}] [web] start error: no ${token}`, "W"),
    `toml: cannot read "${token}"`,
  ]) {
    const text2 = JSON.stringify(parseFrpcLine(text));
    for (const secret of [ticket, runId, token]) expect(text2).not.toContain(secret);
  }
});
