/** The supervisor: keeps exactly one frps running. */
import { type FrpBinaries, locateBinaries } from "@keyhole/frp";
import { type Supervisor, startSupervisor } from "@keyhole/supervisor";
import { dashboardUser, type Foundation, hookUser } from "./foundation.ts";

/** A running supervisor. Disposing leaves frps running; `supervisor.stop` ends it. */
export type SupervisorPart = AsyncDisposable & { readonly supervisor: Supervisor; readonly binaries: FrpBinaries };

/** Starts it: an acceptable frps that runs already is taken over. */
export async function startSupervisorPart(foundation: Foundation): Promise<SupervisorPart> {
  const { config, world, state, internal, portOf, component } = foundation;
  const binaries = await locateBinaries({ cacheDir: world.binaryCache, env: world.env });
  const supervisor = await startSupervisor({
    frps: binaries.frps,
    settings: {
      bindPort: portOf("frps.bindPort"),
      vhostHttpPort: portOf("frps.vhostHttpPort"),
      vhostHttpTimeoutSeconds: config["edge.appTimeoutSeconds"],
      dashboardPort: portOf("frps.dashboardPort"),
      dashboardUser,
      dashboardPassword: internal.dashboardPassword,
      hookPort: portOf("plugin.listen"),
      hookUser,
      hookPassword: internal.hookPassword,
    },
    stateDir: state.path,
    now: world.now,
    log: component("supervisor"),
  });
  return { supervisor, binaries, [Symbol.asyncDispose]: () => supervisor.leave() };
}
