/**
 * What the door may change of a running Node edge: states first, so that nobody new is served by what is over, and then the
 * end of what is under way. Each call is done when it returns; they cannot get into each other's way.
 */
import type { BlockedNetworks } from "./blocked-networks.ts";
import type { ControlListener } from "./control-listener.ts";
import type { EdgeRuntime } from "./edge-runtime.ts";
import type { LabelEvidence } from "./label-evidence.ts";
import type { LabelStates } from "./label-states.ts";
import type { LabelTraffic } from "./label-traffic.ts";
import type { Log } from "./log.ts";
import type { VisitorsListener } from "./visitors-listener.ts";

export function createNodeRuntime(parts: {
  readonly states: LabelStates;
  readonly traffic: LabelTraffic;
  readonly evidence: LabelEvidence;
  readonly networks: BlockedNetworks;
  readonly control: ControlListener;
  readonly visitors: VisitorsListener;
  readonly log: Log;
}): EdgeRuntime {
  const { states, traffic, evidence, networks, control, visitors, log } = parts;
  const cutBlocked = (): void => {
    const ended = { clients: control.cutBlocked(), visitors: visitors.cutBlocked() };
    if (ended.clients + ended.visitors > 0) log.info(ended, "connections were ended: their networks are blocked");
  };
  return {
    async put(entry) {
      states.put(entry);
      evidence.forget(entry.label);
      // After the state: what is ended here asks it where to go.
      traffic.endMarked(entry.label);
    },
    async delete(label, leave) {
      states.delete(label, leave);
      evidence.forget(label);
      if (leave.reason === "ended") traffic.endAll(label);
    },
    async replaceAll(state) {
      states.replaceAll(state);
      evidence.keepOnly(new Set(state.live.map((entry) => entry.label)));
      for (const label of state.blocked) traffic.endAll(label);
      networks.replaceAll(state.blockedNetworks);
      if (state.blockedNetworks.size > 0) cutBlocked();
    },
    async handOver(label) {
      states.handOver(label);
      traffic.mark(label);
    },
    async block(label) {
      states.block(label);
      traffic.endAll(label);
    },
    async unblock(label) {
      states.unblock(label);
    },
    async blockNetwork(network) {
      networks.block(network);
      cutBlocked();
    },
    async unblockNetwork(network) {
      networks.unblock(network);
    },
    async cut(connectionId) {
      return control.cut(connectionId);
    },
    async claim(connectionId, session) {
      control.claim(connectionId, session);
    },
    async release(connectionId) {
      control.release(connectionId);
    },
    async keepOnly(holders) {
      control.keepOnly(holders);
    },
    async claimedBy(holder) {
      return control.claimedBy(holder);
    },
    async connectionOf(clientAddress) {
      return control.connectionOf(clientAddress);
    },
    async readEvidence(cursor) {
      return evidence.read(cursor);
    },
  };
}
