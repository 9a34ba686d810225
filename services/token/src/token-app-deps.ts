/**
 * What the token service is given: capabilities, named for what they do. Nothing here reaches outside by itself, so the
 * app runs in a test without a port, a clock or a file (DESIGN.md §9: only `cli` composes).
 */
import type { Identity, Label, ReadTunnelStatus, TokenRecord, TokenStore, Verdict } from "@keyhole/core";
import type { TokenGrant } from "./token-grant.ts";

/** A structural logger; pino fits. Never given a token, a signature or a body. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/** How a caller wants its frpc.toml: `?port=`, `?file=` and `?caPath=` of the token request. */
export type ClientConfigOptions = {
  /** Port of the local app. */
  readonly localPort: number;
  /** Name the file will have: stock frpc reads the CA out of the file itself. */
  readonly fileName: string;
  /** Absolute path of a CA file on the caller's machine, instead of the CA inside the file. */
  readonly caPath: string | undefined;
};

/** What each part says about being ready; `detail` is public and holds no secret. */
export type ReadinessChecks = Readonly<Record<string, { readonly ok: boolean; readonly detail?: string }>>;

/** Facts of this deployment that answers repeat. */
export type TokenAppSettings = {
  /** Words of the signed message: "Vana Personal Server". */
  readonly productName: string;
  /** Life of a token. */
  readonly ttlSeconds: number;
  /** How far a signed timestamp may be from our clock, either way. */
  readonly timestampWindowSeconds: number;
  readonly tunnelUrl: (label: Label) => string;
  /** Where frpc dials. */
  readonly serverAddr: string;
  readonly serverPort: number;
  /** Name in the certificate that frpc meets there. */
  readonly serverName: string;
  readonly version: string;
  /** How long a request body may take to arrive. 10 s when absent. */
  readonly bodyTimeoutMs?: number;
};

/** Everything `createTokenApp` needs. Every promise given back must settle: the app adds no deadline of its own. */
export type TokenAppDeps = {
  /** Parses and verifies what a wallet signed (`verifyProof` of core). Refuses with `WALLET_*` or `SIGNATURE_*`. */
  readonly verifyProof: (order: {
    readonly walletAddress: string;
    readonly timestamp: number;
    readonly signature: string;
  }) => Verdict<Identity>;
  readonly store: TokenStore;
  /** Called only after the record is durable (invariant 6). */
  readonly mint: (token: TokenRecord) => string;
  readonly readStatus: ReadTunnelStatus;
  readonly readiness: () => Promise<ReadinessChecks>;
  readonly renderClientConfig: (grant: TokenGrant, options: ClientConfigOptions) => string;
  /** The CA that frpc must trust, in PEM, as it is now. */
  readonly caPem: () => string;
  now(): Date;
  newRequestId(): string;
  readonly log: Log;
  readonly settings: TokenAppSettings;
};
