/**
 * A whole Keyhole with an honest client that is asked all the time, and somebody who means harm. Whatever is tried, the
 * same must hold afterwards: the honest one answered every request, nothing of his reached the other's app, the hook
 * decided everything it was asked, and the frps that runs is the one that ran.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Label } from "@keyhole/core";
import { deriveLoginKey, frpVersion } from "@keyhole/frp";
import { connectClient, requestToken } from "./desktop-client.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "./keyhole-process.ts";
import { type LocalApp, startLocalApp } from "./local-app.ts";
import { connectRaw, type RawFrpClient } from "./raw-frp-client.ts";
import { startVisiting, visit } from "./visitor.ts";
import { waitForFact } from "./wait-for-fact.ts";
import { makeWallet, type Wallet } from "./wallet.ts";

/** Who has a wallet and a token of it. */
export type Tenant = { readonly wallet: Wallet; readonly label: Label; readonly host: string; readonly token: string };

/** A raw client that has logged in. */
export type RawSession = RawFrpClient & { readonly ticket: string };

/** The stage. */
export type HostileWorld = AsyncDisposable & {
  readonly keyhole: KeyholeProcess;
  readonly victim: Tenant;
  /** Says "stolen" to whoever reaches it, and remembers for which host. */
  readonly thiefApp: LocalApp;
  makeTenant(): Promise<Tenant>;
  /** A raw client of this tenant, logged in; its work connections lead to the thief's app, or to this one. */
  logIn(tenant: Tenant, fields?: Record<string, unknown>, appPort?: number): Promise<RawSession>;
  /** What must hold after anything that was tried. */
  expectUnharmed(): Promise<void>;
  /** How long a client that has just been started needs until its address serves, in ms. */
  timeGoodClient(): Promise<number>;
};

/** A Login as stock frpc sends it, with this token. */
export function loginOf(token: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const timestamp = Math.floor(Date.now() / 1000);
  const key = deriveLoginKey("", timestamp);
  return { version: frpVersion, os: "linux", arch: "amd64", privilege_key: key, timestamp, pool_count: 1, metas: { token }, ...fields };
}

/** Open file descriptors of a process. */
export const countDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Resident memory of a process in MB. */
export const readMemoryMb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1024;

/** Ports between the parts, by setting. */
export const readInternalPorts = (keyhole: KeyholeProcess): Record<string, number> =>
  (JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> }).ports;

/** Builds it: the honest client is stock frpc, and is asked a hundred times a second from now on. */
export async function startHostileWorld(options: Parameters<typeof startKeyholeProcess>[0] = {}): Promise<HostileWorld> {
  const stack = new AsyncDisposableStack();
  try {
    const keyhole = stack.use(await startKeyholeProcess(options));
    const honestApp = stack.use(await startLocalApp("honest"));
    const strayed: string[] = [];
    const thiefApp = stack.use(
      await startLocalApp("thief", (request, response) => {
        const { host = "" } = request.headers;
        if (host.toLowerCase().includes(victim.label)) strayed.push(host);
        response.end(request.url === "/large" ? "stolen".repeat(50_000) : "stolen");
      }),
    );
    const makeTenant = async (): Promise<Tenant> => {
      const wallet = makeWallet();
      const { token } = await requestToken(keyhole, wallet);
      return { wallet, label: wallet.label as Label, host: `${wallet.label}.${domain}`, token };
    };
    const victim = await makeTenant();
    stack.use(await connectClient(keyhole, victim.wallet, honestApp.port));
    await waitForFact("the honest client serves", async () =>
      (await visit(keyhole.edgePort, victim.host)).body === "honest" ? true : undefined,
    );
    const frpsPid = keyhole.frpsPid();
    const load = startVisiting(keyhole.edgePort, victim.host, { everyMs: 10 });
    stack.defer(() => load.stop());
    let checked = 0;
    let read = 0;

    return {
      keyhole,
      victim,
      thiefApp,
      makeTenant,
      async logIn(tenant, fields = {}, appPort = thiefApp.port) {
        const client = await connectRaw({ port: keyhole.controlPort });
        const answer = await client.login(loginOf(tenant.token, fields));
        if (answer["error"] !== undefined) throw new Error(`the login was refused: ${String(answer["error"])}`);
        const ticket = String(answer["run_id"]);
        client.serve(ticket, appPort);
        return Object.assign(client, { ticket });
      },
      async expectUnharmed() {
        const seen = load.visits.length;
        await waitForFact("the honest client is visited three times more", () => (load.visits.length >= seen + 3 ? true : undefined));
        const answers = load.visits.slice(checked).map((one) => (one instanceof Error ? one.message : `${one.status} ${one.body}`));
        checked += answers.length;
        const failures = answers.filter((answer) => answer !== "200 honest");
        if (failures.length > 0 || strayed.length > 0)
          throw new Error(
            `the honest client: ${failures.length} of ${answers.length} failed: ${failures[0]}; strayed: ${strayed.join(" ")}`,
          );
        const faults =
          keyhole
            .output()
            .slice(read)
            .match(/^.*"event":"hook\.fault".*$/gm) ?? [];
        read = keyhole.output().length;
        if (faults.length > 0) throw new Error(`we failed: ${faults.slice(0, 3).join("\n")}`);
        if (keyhole.frpsPid() !== frpsPid) throw new Error("frps was replaced");
      },
      async timeGoodClient() {
        const tenant = await makeTenant();
        const startedAt = performance.now();
        await using app = await startLocalApp("good");
        await using _client = await connectClient(keyhole, tenant.wallet, app.port);
        await waitForFact("the good client serves", async () =>
          (await visit(keyhole.edgePort, tenant.host)).body === "good" ? true : undefined,
        );
        return performance.now() - startedAt;
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
