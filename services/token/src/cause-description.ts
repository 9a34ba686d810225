/**
 * What the log may know about something that broke: name, message, code and the frames of the stack. A message of a
 * foreign library can quote what it was given, so anything that looks like a signature, a token or a key is cut out
 * (invariant 9). The caller never sees any of it.
 */

const secretLooking = /frp_[A-Za-z0-9_-]+|(?:0x)?[0-9a-fA-F]{48,}|[A-Za-z0-9_+/-]{80,}={0,2}/g;
const messageLength = 300;

/** Describes a thrown value, and what caused it. Never throws. */
export function describeCause(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { thrown: typeof error };
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  return {
    name: error.name,
    ...code,
    message: error.message
      .slice(0, 4 * messageLength)
      .replace(secretLooking, "[…]")
      .slice(0, messageLength),
    frames: frames.slice(0, 8).map((line) => line.trim()),
    ...(error.cause === undefined || depth === 3 ? {} : { cause: describeCause(error.cause, depth + 1) }),
  };
}
