/** Where the sockets are: `<stateDir>/run/<part>.sock` (DESIGN.md §1), by the shorter of two names, for the kernel takes only 107 bytes. */
import { join, relative } from "node:path";
import { Fault } from "@keyhole/core";

/** The parts of Keyhole that may run as processes of their own, in the order in which they are told of. */
export const partNames = ["edge", "token", "plugin", "supervisor"] as const;

/** One of them. */
export type PartName = (typeof partNames)[number];

/** `sun_path` has 108 bytes on Linux and 104 on macOS, with a zero at the end. */
const maxBytes = process.platform === "linux" ? 107 : 103;

/** The socket of a part. Throws `Fault("STATE_UNWRITABLE")` when no name of it is short enough. */
export function socketPath(stateDir: string, part: PartName): string {
  const absolute = join(stateDir, "run", `${part}.sock`);
  const nearby = relative(process.cwd(), absolute);
  const shorter = nearby.length < absolute.length ? nearby : absolute;
  if (Buffer.byteLength(shorter) <= maxBytes) return shorter;
  throw new Fault("STATE_UNWRITABLE", `${absolute} is too long for a socket (${maxBytes} bytes at most). Give stateDir a shorter path.`);
}
