/** What metrics are read from: the figures that the parts of a process keep. */
import type { EdgeStats } from "@keyhole/edge";
import type { PluginStats } from "@keyhole/plugin";
import type { CanaryStats } from "./canary/canary-record.ts";
import type { CommitFigures } from "./commit-times.ts";

/** Where the figures come from: of the parts that this process is. Each is asked once a scrape. */
export type MetricSources = {
  readonly plugin?: () => Pick<PluginStats, "sessions" | "connected" | "refusals" | "figures">;
  readonly token?: () => {
    readonly answers: Readonly<Record<string, number>>;
    /** `scheme result`. */
    readonly verifications: ReadonlyMap<string, number>;
  };
  readonly frps?: () => { readonly state: string; readonly restarts: number };
  readonly edge?: () => EdgeStats;
  /** Undefined while there is no canary. */
  readonly canary?: () => CanaryStats | undefined;
  /** How far the clock is behind what it has been, in ms. */
  readonly clockBehindMs?: () => number;
  /** The configuration's file says something else by now. */
  readonly isConfigOutdated?: () => boolean;
  /** By the file's name without its ending. */
  readonly commits?: () => Readonly<Record<string, CommitFigures>>;
};
