/**
 * How a part says how it is: `GET /status` on its socket. What is wrong is a sentence of its own that ends with what to do,
 * so that whoever reads a status needs no manual.
 */
import { Hono } from "hono";
import { z } from "zod";
import type { World } from "../world.ts";
import type { PartName } from "./socket-path.ts";

/** What a part says of itself. `facts` are for people: a name and a value a line. */
export type PartFacts = {
  readonly summary: string;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly problems: readonly string[];
};

/** The whole answer. */
export const partStatus = z.object({
  part: z.enum(["edge", "token", "plugin", "supervisor"]),
  pid: z.int(),
  version: z.string(),
  startedAt: z.iso.datetime(),
  summary: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number()])),
  problems: z.array(z.string()),
});

/** A part's answer. */
export type PartStatus = z.infer<typeof partStatus>;

/** Makes the reader of a part's own word. */
export function createReadPart(
  part: PartName,
  world: Pick<World, "pid" | "version">,
  startedAt: Date,
  readFacts: () => Promise<PartFacts> | PartFacts,
): () => Promise<PartStatus> {
  const { pid, version } = world;
  return async () => ({ part, pid, version, startedAt: startedAt.toISOString(), ...copy(await readFacts()) });
}

/** Makes what a part serves on its socket, with its status on it. */
export function createPartApp(...part: Parameters<typeof createReadPart>): Hono {
  const readPart = createReadPart(...part);
  const app = new Hono();
  app.get("/status", async (c) => c.json(await readPart()));
  return app;
}

const copy = ({ summary, facts, problems }: PartFacts): Pick<PartStatus, "summary" | "facts" | "problems"> => ({
  summary,
  facts: { ...facts },
  problems: [...problems],
});
