/**
 * One route as a value: what the OpenAPI document says of it, and how its handler is made. The schemas describe and do
 * not validate: what a caller sends is judged by total parsers of our own, which say why (tests hold every real answer
 * against its schema).
 */
import type { HttpBindings } from "@hono/node-server";
import type { RouteConfig } from "@hono/zod-openapi";
import type { Label, RefusalCode } from "@keyhole/core";
import type { Handler } from "hono";
import type { ToldRefusal } from "./answer.ts";
import type { RequestLimits } from "./request-limits.ts";
import type { CanaryReport, ReadinessChecks, TokenAppDeps } from "./token-app-deps.ts";

/** `Bindings` are there on a listener, and not when the app is called without a port. */
export type TokenEnv = {
  readonly Bindings: Partial<HttpBindings>;
  readonly Variables: {
    requestId: string;
    /** What the code of the answer is, for the counters; undefined for what is no refusal. */
    refusalCode: RefusalCode | undefined;
    /** Whose it is, once that is proved. */
    provedLabel: Label | undefined;
    /** `RateLimit` and its policy as they are when the answer leaves; undefined where nothing is limited. */
    limitHeaders: (() => Readonly<Record<string, string>>) | undefined;
  };
};

/** What the endpoints that take proofs need of a request. Hono's context is one; `direct-request.ts` makes one without it. */
export type ProofContext = {
  readonly env: TokenEnv["Bindings"] | undefined;
  readonly req: {
    /** As it came, or the whole of it: only what is behind the first `?` counts. */
    readonly url: string;
    readonly raw: { readonly body: ReadableStream<Uint8Array> | null };
    /** By its name in lower case. */
    header(name: string): string | undefined;
  };
  get<Key extends keyof TokenEnv["Variables"]>(key: Key): TokenEnv["Variables"][Key];
  set<Key extends keyof TokenEnv["Variables"]>(key: Key, value: TokenEnv["Variables"][Key]): void;
};

/** Answers a request with a proof. */
export type ProofHandler = (c: ProofContext) => Promise<Response>;

/** What a handler gets beside the app's own capabilities. */
export type EndpointDeps = TokenAppDeps & {
  /** Answers a refusal, with a line in the log, and the limits of the request where it has some. */
  readonly refuse: (c: ProofContext, refusal: ToldRefusal) => Response;
  /** What may be asked of the endpoints that take proofs, together. */
  readonly limits: RequestLimits;
  /** The network that a request is counted with. */
  readonly readAddressPrefix: (c: ProofContext) => string;
  /** `/openapi.json`, rendered once. */
  readonly openApi: string;
  /** All checks of readiness, asked at most once a second however many ask us. Never throws. */
  readonly readChecks: () => Promise<ReadinessChecks>;
  /** The canary's report, asked for as often. Never throws. */
  readonly readCanary: () => Promise<CanaryReport | undefined>;
};

/** A route and how it is answered. */
export type Endpoint = { readonly route: RouteConfig; readonly create: (deps: EndpointDeps) => Handler<TokenEnv> };

/** A route that takes proofs. */
export type ProofEndpoint = Omit<Endpoint, "create"> & { readonly create: (deps: EndpointDeps) => ProofHandler };
