/**
 * What a line of stock frpc 0.71.0 means. These texts are frpc's and are proved on the binary (`test/e2e/agent.test.ts`):
 * "login to server success", "[name] start proxy success", "[name] start error: …", "connect to server error: …". frpc has
 * one sentence for a server that says no and for a network that is down; they are told apart by the words of Go's net
 * package. Run ids are gone before a line gets here (`parseFrpLogLine`).
 */
import { type FrpLogLine, parseFrpLogLine } from "@keyhole/frp";

/** What happened to the one frpc, in the order in which it happened. */
export type FrpcEvent =
  /** The server took the login. No tunnel yet. */
  | { readonly kind: "connected" }
  /** The tunnel is up. `proxy` is the name as written in the config file. */
  | { readonly kind: "proxy-started"; readonly proxy: string }
  /** The server said no, and why. frpc goes on asking. */
  | { readonly kind: "refused"; readonly stage: "login" | "proxy"; readonly reason: string }
  /** The connection is lost, or there was none to be had. frpc goes on trying. */
  | { readonly kind: "disconnected"; readonly reason: string }
  /** The process is gone. `restartInMs` is absent when it was told to stop. */
  | { readonly kind: "exited"; readonly reason: string; readonly restartInMs?: number }
  /** Anything else frpc said. */
  | { readonly kind: "line"; readonly level: FrpLogLine["level"]; readonly message: string };

/** A line of frpc's output: fit for our log, and what it means. "trying": after a connection, it says that it is lost. */
export type FrpcLine = FrpLogLine & { readonly meaning: FrpcEvent | { readonly kind: "trying" } };

const loginRefused = /^(?:\[[^\]]*\] )?connect to server error: (.*)$/;
const proxyRefused = /^(?:\[[^\]]*\] )?\[[^\]]*\] start error: (.*)$/;
const loginTaken = /^(?:\[[^\]]*\] )?login to server success\b/;
const proxyTaken = /^(?:\[[^\]]*\] )?\[([^\]]*)\] start proxy success$/;
const trying = /^(?:\[[^\]]*\] )?try to connect to server/;
const givenUp = /^login to the server failed: (.*?)(?:\. With loginFailExit enabled.*)?$/;

/** Go's words for a connection that could not be made or was lost: nobody decided anything. */
const networkTrouble =
  /^(?:dial|read|write|lookup) |\bEOF$|i\/o (?:timeout|deadline)|^(?:tls|x509|proxy|websocket)\b|session shutdown|context deadline exceeded|keepalive timeout|use of closed|broken pipe|bad handshake|^stream |timeout$/;

/** Reads one line. Never throws; a line that means nothing to us is a "line". */
export function parseFrpcLine(text: string): FrpcLine {
  const line = parseFrpLogLine(text);
  return { ...line, meaning: readMeaning(line) };
}

function readMeaning(line: FrpLogLine): FrpcLine["meaning"] {
  const { message, level } = line;
  // Refusals first: their reasons are the server's text, which may imitate any of the others.
  const login = (loginRefused.exec(message) ?? (line.at === undefined ? givenUp.exec(message) : null))?.[1];
  if (login !== undefined) {
    return networkTrouble.test(login) ? { kind: "disconnected", reason: login } : { kind: "refused", stage: "login", reason: login };
  }
  const proxy = proxyRefused.exec(message)?.[1];
  if (proxy !== undefined) return { kind: "refused", stage: "proxy", reason: proxy };
  // Only lines with frpc's own time and level can be good news: a reason of several lines spills over into bare ones.
  if (line.at === undefined) return { kind: "line", level, message };
  if (loginTaken.test(message)) return { kind: "connected" };
  const started = proxyTaken.exec(message)?.[1];
  if (started !== undefined) return { kind: "proxy-started", proxy: started };
  if (trying.test(message)) return { kind: "trying" };
  return { kind: "line", level, message };
}
