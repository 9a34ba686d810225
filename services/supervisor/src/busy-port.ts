/**
 * A port that somebody else holds, named: the most frequent reason why frps does not start. Asked before every start, which
 * also keeps a stranger on the port from answering our readiness probe; and read from frps's own last words, should the
 * port be taken in between.
 */
import { probeTcp } from "./probe-tcp.ts";

/** A port that frps needs, and what the settings call it. */
export type NeededPort = { readonly name: string; readonly port: number };

/** The first of the ports that another process answers on, or holds without answering. */
export async function findBusyPort(ports: readonly NeededPort[]): Promise<NeededPort | undefined> {
  // Asked by connecting, not by listening: for the moment we listened, the edge's clients would be connected to us.
  for (const needed of ports) {
    if ((await probeTcp(needed.port)) !== "refused") return needed;
  }
  return undefined;
}

/** Recognises frps's "listen tcp 127.0.0.1:7000: bind: address already in use". Undefined when the line says something else. */
export function parseBusyPort(line: string, ports: readonly NeededPort[]): NeededPort | undefined {
  const match = /listen tcp \S*:(\d{1,5}): bind: (?:address already in use|Only one usage of each socket address)/.exec(line);
  if (match === null) return undefined;
  const port = Number(match[1]);
  return ports.find((needed) => needed.port === port) ?? { name: "a port of frps", port };
}

/** One sentence with the port, its name and what to do. */
export function describeBusyPort(busy: NeededPort): string {
  return `port ${busy.port} on 127.0.0.1 (${busy.name}) is in use by another process: end that process, or give frps another port`;
}
