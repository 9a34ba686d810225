/** What operators order at the plugin's socket, and owners at the token service, with when it was asked and answered. */
import { Agent, request } from "node:http";
import { join } from "node:path";
import { now } from "../chaos/history.ts";
import type { RunningKeyhole } from "../support/keyhole-process.ts";
import type { Order } from "./history.ts";

/** Orders of an operator. */
export type Operator = Disposable & {
  /** Undefined when nothing was recorded. */
  give(what: "revoke" | "kick" | "block" | "unblock", label: string): Promise<Order | undefined>;
};

/** Connects to the admin API on the plugin's socket. */
export function connectOperator(keyhole: RunningKeyhole): Operator {
  const agent = new Agent({ keepAlive: true });
  const socketPath = join(keyhole.stateDir, "run", "plugin.sock");
  const requestOf = {
    revoke: (label: string) => ({ method: "POST", path: `/v1/identities/${label}/revoke`, body: {} }),
    kick: (label: string) => ({ method: "POST", path: `/v1/identities/${label}/kick`, body: {} }),
    block: (label: string) => ({ method: "POST", path: "/v1/blocks", body: { subject: label, reason: "race" } }),
    unblock: (label: string) => ({ method: "DELETE", path: `/v1/blocks?subject=${label}`, body: undefined }),
  } as const;
  return {
    async give(what, label) {
      const { method, path, body } = requestOf[what](label);
      const askedAt = now();
      const { status, text } = await ask({ socketPath, agent, method, path }, body);
      const answeredAt = now();
      if (status === 404 && what !== "revoke" && what !== "block") return undefined;
      if (status >= 300) throw new Error(`${what}: ${status} ${text}`);
      const said = text === "" ? {} : (JSON.parse(text) as { notBefore?: string });
      const notBefore = said.notBefore === undefined ? {} : { notBefore: Date.parse(said.notBefore) / 1000 };
      return { what, label, askedAt, answeredAt, isEnforced: status !== 202, ...notBefore };
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function ask(
  target: { readonly socketPath: string; readonly agent: Agent; readonly method: string; readonly path: string },
  body: object | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...target, headers: body === undefined ? {} : { "content-type": "application/json" } }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => {
        text += String(chunk);
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
