/**
 * Lines that are written together: those of one turn of the event loop by one call of the kernel, which otherwise costs a
 * line more than to make it. In the order in which they came; none waits for a next event.
 */

/** Lines on their way. */
export type GatheredLines = {
  /** Takes a line, its end included. It is written before the event loop waits for anything. */
  write(line: string): void;
  /** Writes what there is, now. */
  flush(): void;
};

/** This many characters are written at once, whatever else the turn still says. */
const most = 65_536;

/** Gathers in front of `write`, which must have written when it returns. */
export function gatherLines(write: (text: string) => void): GatheredLines {
  let text = "";

  function flush(): void {
    if (text === "") return;
    const whole = text;
    text = "";
    write(whole);
  }

  return {
    write(line) {
      if (text === "") setImmediate(flush);
      text += line;
      if (text.length >= most) flush();
    },
    flush,
  };
}
