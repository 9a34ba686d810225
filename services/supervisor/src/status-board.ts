/** Tells everybody who asked how frps is, and lets them wait for a fact about it. A listener that fails harms nobody else. */
import type { Log } from "./log.ts";
import type { SupervisorState } from "./supervision.ts";

/** How frps is. `restarts` counts starts after the first; `lastExit` says why the last run ended that nobody had ended. */
export type SupervisorStatus = {
  readonly state: SupervisorState;
  readonly pid: number | undefined;
  readonly since: Date;
  readonly restarts: number;
  readonly lastExit: string | undefined;
  /** The present frps was started by an earlier supervisor and taken over. */
  readonly adopted: boolean;
  /** What differed when a frps of an earlier supervisor was last replaced: "the binary", keys of frps.toml. */
  readonly replaced: string | undefined;
  /** How often in a row frps, being ready, did not answer when it was asked; it is killed after a few. */
  readonly misses: number;
};

/** Who wants to know. */
export type StatusBoard = {
  onState(listener: (status: SupervisorStatus) => void): () => void;
  announce(status: SupervisorStatus): void;
  /** Resolves when the fact holds: now, or after an announcement. */
  until(holds: () => boolean): Promise<void>;
};

/** Makes an empty board. */
export function createStatusBoard(log: Log): StatusBoard {
  const listeners = new Set<(status: SupervisorStatus) => void>();
  return {
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    announce(status) {
      for (const listener of [...listeners]) {
        try {
          listener(status);
        } catch (error) {
          log.error({ component: "supervisor", cause: String(error) }, "a listener of the supervisor's state failed");
        }
      }
    },
    until: (holds) =>
      new Promise((resolve) => {
        if (holds()) return resolve();
        const listener = (): void => {
          if (!holds()) return;
          listeners.delete(listener);
          resolve();
        };
        listeners.add(listener);
      }),
  };
}
