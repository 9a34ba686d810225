/** Waiting for a fact, never for a time. */

/** Thrown by a question whose answer can never come any more: the waiting ends at once. */
export class FactLost extends Error {}

/**
 * Asks until the answer is not undefined, at most `timeoutMs` long. Rejects with what was seen last (`describe`), so that a
 * failure explains itself.
 */
export async function waitForFact<T>(
  name: string,
  ask: () => T | undefined | Promise<T | undefined>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number; readonly describe?: () => string } = {},
): Promise<T> {
  const { timeoutMs = 10_000, everyMs = 10, describe } = options;
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  while (performance.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof FactLost) throw new Error(`${name}: ${error.message}${describe === undefined ? "" : `; seen: ${describe()}`}`);
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(
    `${name}: not within ${timeoutMs} ms${describe === undefined ? "" : `; seen: ${describe()}`}${lastError === undefined ? "" : `; last error: ${String(lastError)}`}`,
  );
}
