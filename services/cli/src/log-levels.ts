/** How much may be logged, in a file of its own: who only reads settings needs no log. */

/** Levels that a person may ask for. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
