/** What a store cannot tell now is as good as not there, for whoever only tells of it: nothing may keep a part from starting for that. */
import { Fault } from "@keyhole/core";

/** Resolves to `absent` when the store says that it cannot be read; whatever else is thrown goes on. */
export async function readOr<Answer>(absent: Answer, read: () => Promise<Answer>): Promise<Answer> {
  try {
    return await read();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return absent;
  }
}
