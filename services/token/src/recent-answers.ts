/**
 * Remembers the answer to a question for a moment, so that many callers asking at once cost one question. Bounded: the
 * oldest entry makes room, since keys come from the public. A failure is remembered as well: who cannot answer is not asked
 * more often for it.
 */

/** Asks `ask` at most once a `maxAgeMs` for each key, counted from when the question was put. */
export function createRecentAnswers<Key, Value>(options: {
  readonly ask: (key: Key) => Promise<Value>;
  readonly maxAgeMs: number;
  readonly maxEntries: number;
  now(): Date;
}): (key: Key) => Promise<Value> {
  const entries = new Map<Key, { readonly askedAt: number; readonly answer: Promise<Value> }>();
  return (key) => {
    const now = options.now().getTime();
    const entry = entries.get(key);
    if (entry !== undefined && now >= entry.askedAt && now - entry.askedAt < options.maxAgeMs) return entry.answer;
    entries.delete(key);
    const oldest = entries.size >= options.maxEntries ? entries.keys().next() : undefined;
    if (oldest?.done === false) entries.delete(oldest.value);
    const answer = (async () => options.ask(key))();
    // Whoever asked handles a failure; this only keeps it from counting as handled by nobody.
    answer.catch(() => {});
    entries.set(key, { askedAt: now, answer });
    return answer;
  };
}
