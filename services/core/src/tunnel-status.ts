/**
 * Port: what may be said in public about a label. The plugin knows it; the token service asks.
 */
import type { Label } from "./label.ts";

/** Whether a label is served. `asOf` is when this was last known to be true. */
export type TunnelStatus =
  | {
      readonly status: "connected";
      readonly connectedSince: Date;
      readonly routable: boolean;
      readonly asOf: Date;
      readonly stale: boolean;
    }
  | { readonly status: "disconnected"; readonly lastSeen: Date | null; readonly asOf: Date; readonly stale: boolean };

/** Answers for one label. Never throws for a label that nobody has ever used: it is `disconnected`, `lastSeen: null`. */
export type ReadTunnelStatus = (label: Label) => Promise<TunnelStatus>;
