/**
 * Logins that come within a millisecond are looked up together: in a row a look-up costs 3 µs, between other work, with
 * everything it needs gone from the processor's caches, 20 to 60. What it sees is newer for the waiting, not older.
 */

/** How long questions are gathered before the file is asked, in ms. */
const gatherMs = 1;

type Waiting<Question, Answer> = PromiseWithResolvers<Answer | undefined> & { readonly question: Question };

/**
 * Makes the function that asks one question, by one that answers many in their order. Resolves to undefined when that did, and
 * rejects with its fault.
 */
export function gatherReads<Question, Answer>(
  answerAll: (questions: readonly Question[]) => Promise<readonly Answer[] | undefined>,
): (question: Question) => Promise<Answer | undefined> {
  let waiting: Waiting<Question, Answer>[] = [];

  function askAll(): void {
    const batch = waiting;
    waiting = [];
    answerAll(batch.map(({ question }) => question)).then(
      (answers) => {
        for (const [index, { resolve }] of batch.entries()) resolve(answers?.[index]);
      },
      (fault: unknown) => {
        for (const { reject } of batch) reject(fault);
      },
    );
  }

  return (question) => {
    const asked = { question, ...Promise.withResolvers<Answer | undefined>() };
    if (waiting.push(asked) === 1) setTimeout(askAll, gatherMs);
    return asked.promise;
  };
}
