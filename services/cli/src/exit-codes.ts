/** What every command ends with, for scripts. */

/**
 * `notFound`: no such session, block or key. `notPermitted`: this user may not ask. `degraded`: something is wrong, or an order
 * is recorded and not enforced yet. `configuration`: what no restart mends (EX_CONFIG of sysexits.h).
 */
export const exitCodes = { ok: 0, failed: 1, usage: 2, notFound: 3, notPermitted: 4, degraded: 5, configuration: 78 } as const;

/** One of them. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
