/** Every "no" to frps, rendered and counted in one place. */
import { describeReason, type Label, type Refusal, type RefusalCode } from "@keyhole/core";
import type { HookAnswer } from "@keyhole/frp";

/** Renders refusals, and knows how often each code was said. */
export type RefusalAnswers = {
  /** The line that frpc prints. Facts may be cut from its end, never the code. `label`: whose it was, where that was proved. */
  answer(refusal: Refusal, label?: Label): HookAnswer;
  /** Said in another way than as an answer to frps. */
  count(code: RefusalCode): void;
  readonly counts: ReadonlyMap<RefusalCode, number>;
};

/** Longer facts are texts of somebody else's: the line has 200 characters in all. */
const longestFact = 60;

/** Makes it, with nothing said yet. `note` is told of every refusal. */
export function createRefusalAnswers(note: (code: RefusalCode, label: Label | undefined) => void = () => {}): RefusalAnswers {
  const counts = new Map<RefusalCode, number>();
  const count = (code: RefusalCode, label?: Label): void => {
    counts.set(code, (counts.get(code) ?? 0) + 1);
    note(code, label);
  };
  return {
    counts,
    count,
    answer({ code, facts }, label) {
      count(code, label);
      const told = Object.entries(facts).filter(([, value]) => String(value).length <= longestFact);
      return { kind: "refuse", reason: describeReason(code, Object.fromEntries(told)) };
    },
  };
}
