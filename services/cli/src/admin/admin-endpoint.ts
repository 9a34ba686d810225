/** One route of the admin API as a value: what its document says, and how its handler is made. */
import type { RouteConfig } from "@hono/zod-openapi";
import type { Orderer } from "@keyhole/core";
import type { Plugin } from "@keyhole/plugin";
import type { Context } from "hono";
import type { Log } from "../log.ts";
import type { PartStatus } from "../sockets/part-status.ts";
import type { IdentityReaders } from "./identity-view.ts";

/** `orderer` is whom the events name; who opens the door to the app says it. */
export type AdminEnv = { readonly Bindings: { readonly orderer: Orderer }; readonly Variables: { requestId: string } };

/** What the API is made of. */
export type AdminDeps = {
  readonly plugin: Pick<Plugin, "operator" | "blocks" | "sessions" | "readStatus">;
  readonly identities: IdentityReaders;
  /** What `keyhole status` asks of this part. */
  readonly readPart: () => Promise<PartStatus>;
  readonly now: () => Date;
  readonly newRequestId: () => string;
  readonly log: Log;
};

/** A route and how it is answered. */
export type AdminEndpoint = {
  readonly route: RouteConfig;
  readonly create: (deps: AdminDeps) => (c: Context<AdminEnv>) => Response | Promise<Response>;
};
