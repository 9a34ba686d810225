/** Tells a person how far something has come, once it takes longer than a second: in place on a terminal, else a line now and then. */

/** `part` is from 0 to 1 where it is known. */
export type Progress = (what: string, part?: number) => void;

const quietMs = 1000;
const everyMs = { terminal: 100, file: 5000 };

/** Makes one. Call `end` before anything else is written to the stream. */
export function createProgress(stream: { readonly isTTY?: boolean; write(text: string): unknown }): {
  readonly tell: Progress;
  end(): void;
} {
  const isTerminal = stream.isTTY === true;
  const startedAt = performance.now();
  let toldAt = Number.NEGATIVE_INFINITY;
  let told = "";
  let isOnLine = false;
  return {
    tell(what, part) {
      const time = performance.now();
      const isDue = time - toldAt >= (isTerminal ? everyMs.terminal : everyMs.file) || what !== told;
      if (time - startedAt < quietMs || !isDue) return;
      toldAt = time;
      told = what;
      const line = `keyhole: ${what}${part === undefined || !Number.isFinite(part) ? "" : `, ${Math.floor(part * 100)} %`}`;
      stream.write(isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
      isOnLine = isTerminal;
    },
    end() {
      if (isOnLine) stream.write("\r\u001b[K");
      isOnLine = false;
    },
  };
}
