/**
 * How far the clock is behind what it has been: it was set back, or was ahead for a while and is right again. Nothing ends for it,
 * but a wallet that bought a token meanwhile can neither use it nor buy another until the clock is there (TOKEN_NOT_YET_VALID,
 * TOKENS_TOO_FAST: issued-at never falls), and nobody but this would say why.
 */
import type { Log } from "./log.ts";

/** A clock that is kept right is slewed, or steps by less than this; and tokens may be issued two seconds ahead. */
const toleratedMs = 2000;
const lookEveryMs = 1000;

/** The watch. `behindMs` is 0 while all is well. */
export type ClockWatch = Disposable & { behindMs(): number };

/**
 * Looks every second, and says once that the clock is behind and once that it is there again. `until` is what it is known to have
 * been before this process began.
 */
export function startClockWatch(options: { readonly now: () => Date; readonly until: Date | undefined; readonly log: Log }): ClockWatch {
  const { now, until, log } = options;
  let latest = until?.getTime() ?? 0;
  let isTold = false;
  const behindMs = (): number => {
    const at = now().getTime();
    latest = Math.max(latest, at);
    return latest - at > toleratedMs ? latest - at : 0;
  };
  const look = (): void => {
    const behind = behindMs();
    if (behind > 0 === isTold) return;
    isTold = behind > 0;
    const facts = { behindSeconds: Math.round(behind / 1000), was: new Date(latest).toISOString() };
    if (isTold)
      log.error({ event: "clock.behind", ...facts }, "the clock was set back: who bought a token meanwhile waits until it is there again");
    else log.info({ event: "clock.caught-up" }, "the clock is where it was");
  };
  look();
  const timer = setInterval(look, lookEveryMs).unref();
  return { behindMs, [Symbol.dispose]: () => clearInterval(timer) };
}
