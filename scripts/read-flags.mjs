/**
 * Reads the flags of a script. `--help` prints how it is used and ends with 0; a flag or a value that is wrong is told on one line, and
 * ends with 2. Node built-ins only.
 */
import { parseArgs } from "node:util";

/** Says on one line what is wrong with how the script was called, and ends. */
export function refuseUsage(name, problem) {
  process.stderr.write(`${name}: ${problem}; npm run ${name} -- --help tells what there is\n`);
  process.exit(2);
}

/**
 * The flags' values, and what stands without a flag where `more.allowPositionals` is true. `usage` is what `--help` prints. `options` are those of
 * `parseArgs`; one with `least` is a whole number of at least that, one with `oneOf` takes some of these, with commas between them.
 */
export function readFlags(name, usage, options, more = {}) {
  let parsed;
  try {
    parsed = parseArgs({ options: { ...options, help: { type: "boolean", short: "h" } }, ...more });
  } catch (error) {
    return refuseUsage(name, error.message.split(/\.\s/)[0]);
  }
  if (parsed.values.help) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  for (const [flag, text] of Object.entries(parsed.values)) {
    const { least, oneOf } = options[flag];
    if (oneOf !== undefined && !text.split(",").every((part) => oneOf.includes(part)))
      return refuseUsage(name, `--${flag} takes some of ${oneOf.join(", ")}, with commas between them`);
    if (least === undefined) continue;
    if (!/^[0-9]{1,15}$/.test(text) || Number(text) < least) return refuseUsage(name, `--${flag} must be a whole number, ${least} or more`);
    parsed.values[flag] = Number(text);
  }
  return parsed;
}
