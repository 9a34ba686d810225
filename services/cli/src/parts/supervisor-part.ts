/** The supervisor: keeps exactly one frps running. */
import { type FrpBinaries, locateBinaries } from "@keyhole/frp";
import { type Supervisor, startSupervisor } from "@keyhole/supervisor";
import { countDescriptors, type DescriptorWatch, startDescriptorWatch } from "../descriptor-watch.ts";
import { dashboardUser, type Foundation, hookUser } from "./foundation.ts";

/** A running supervisor. Disposing leaves frps running; `supervisor.stop` ends it. */
export type SupervisorPart = AsyncDisposable & {
  readonly supervisor: Supervisor;
  readonly binaries: FrpBinaries;
  readonly frpsDescriptors: Pick<DescriptorWatch, "scarce">;
};

/** To count those of a frps that serves many costs more than to count our own. */
const lookEveryMs = 5000;

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
  const frpsDescriptors = startDescriptorWatch({
    log: component("supervisor"),
    of: "frps",
    count() {
      const { pid } = supervisor.status();
      return pid === undefined ? undefined : countDescriptors(pid);
    },
    everyMs: lookEveryMs,
  });
  return {
    supervisor,
    binaries,
    frpsDescriptors,
    async [Symbol.asyncDispose]() {
      frpsDescriptors[Symbol.dispose]();
      await supervisor.leave();
    },
  };
}
