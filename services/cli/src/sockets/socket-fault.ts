/** Why a part's socket gave no answer. */

/**
 * `away`: nobody listens, so the part is not running. `silent`: it runs, or ran, and did not answer. `forbidden`: this user
 * may not ask. `refused`: it answered, and would not.
 */
export class SocketFault extends Error {
  override readonly name = "SocketFault";
  readonly kind: "away" | "silent" | "forbidden" | "refused";

  constructor(kind: SocketFault["kind"], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** Codes of a connection that could not be made, because nobody is there. */
const awayCodes = new Set(["ECONNREFUSED", "ENOENT", "ENOTDIR"]);

const descriptions = { away: "is not served", forbidden: "may not be used by this user", silent: "did not answer" } as const;

/** The fault of a call that failed before an answer came. */
export function asSocketFault(path: string, cause: unknown): SocketFault {
  const code = codeOf(cause);
  const kind = awayCodes.has(code ?? "") ? "away" : code === "EACCES" || code === "EPERM" ? "forbidden" : "silent";
  return new SocketFault(kind, `${path} ${descriptions[kind]} (${code ?? String(cause)})`, { cause });
}

/** The code of an error of the system. */
export const codeOf = (error: unknown): string | undefined => {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
};
