/** Whether a process still lives, and so may hold a port. A zombie does not: where nobody reaps, it stays for ever. */
import { readStartTime } from "@keyhole/frp";

export const isAlive = (pid: number): boolean => pid > 1 && readStartTime(pid) !== undefined;
