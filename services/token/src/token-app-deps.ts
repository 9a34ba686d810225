/**
 * What the token service is given: capabilities, named for what they do. Nothing here reaches outside by itself, so the
 * app runs in a test without a port, a clock or a file (DESIGN.md §9: only `cli` composes).
 */
import type {
  CredentialKind,
  Identity,
  Label,
  ProofPurpose,
  ReadTunnelStatus,
  RefusalCode,
  Standing,
  StellarJwt,
  TokenRecord,
  TokenStore,
  Verdict,
} from "@keyhole/core";
import type { TokenGrant } from "./token-grant.ts";

/** A structural logger; pino fits. Never given a token, a signature or a body. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/** How a caller wants its frpc.toml: `?port=`, `?file=`, `?caPath=` and `?tokenFile=` of the token request. */
export type ClientConfigOptions = {
  /** Port of the local app. */
  readonly localPort: number;
  /** Name the file will have: stock frpc reads the CA out of the file itself. */
  readonly fileName: string;
  /** Absolute path of a CA file on the caller's machine, instead of the CA inside the file. */
  readonly caPath: string | undefined;
  /** Absolute path of a file on the caller's machine that will hold the token (a JWT), which frpc then reads at every login. */
  readonly tokenFile: string | undefined;
};

/** How a tunnel token is made. */
export type TokenType = Extract<CredentialKind, "hmac" | "jwt">;

/** What each part says about being ready; `detail` is public and holds no secret. */
export type ReadinessChecks = Readonly<Record<string, { readonly ok: boolean; readonly detail?: string }>>;

/** Where the way from a wallet to an answered visitor fails: no token, no login, no edge, or no answer through the tunnel. */
export const canaryStages = ["token", "login", "edge", "answer"] as const;

/** One of them. */
export type CanaryStage = (typeof canaryStages)[number];

/** What a tunnel of our own has found: `stage` is what fails, undefined while all is well; `ms` is how long its last answer took. */
export type CanaryReport = {
  readonly ok: boolean;
  readonly stage: CanaryStage | undefined;
  readonly lastOkAt: Date | undefined;
  readonly ms: number | undefined;
};

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
  /** The server's own Stellar account: what a Stellar JWT names as its audience. */
  readonly stellarAddress: string;
  /** The domain under which the labels are, issuer and audience of tunnel tokens in JWT form. */
  readonly domain: string;
  /** What the edge proves itself with (`X-Keyhole-Edge`); only then is `X-Forwarded-For` believed. Empty: nobody can. */
  readonly edgePassword: string;
  /** CIDRs of peers whose `X-Forwarded-For` is believed without the password. */
  readonly trustedProxies: readonly string[];
  readonly limits: {
    /** Requests with a proof, an address prefix. */
    readonly requestsPerMinute: number;
    /** Tokens, an identity; and as many revocations. */
    readonly tokensPerMinute: number;
    /** Signatures that are wrong, an address prefix. */
    readonly failedProofsPerMinute: number;
    /** Requests with a proof that are worked on at once. */
    readonly inFlight: number;
  };
  /** How long a request body may take to arrive. 10 s when absent. */
  readonly bodyTimeoutMs?: number;
};

/** Everything `createTokenApp` needs. Every promise given back must settle: the app adds no deadline of its own. */
export type TokenAppDeps = {
  /** Parses and verifies what a wallet signed for this purpose (`verifyProof` of core). Refuses with `WALLET_*` or `SIGN*`. */
  readonly verifyProof: (
    order: { readonly walletAddress: string; readonly timestamp: number; readonly signature: string },
    purpose: ProofPurpose,
  ) => Verdict<Identity>;
  /** Reads and verifies a Stellar JWT. Everything cheap first, the signature last. */
  readonly checkStellarJwt: (jwt: string) => Verdict<StellarJwt>;
  readonly store: TokenStore;
  /** The id of the key that mints now; recorded with the token. */
  readonly mintingKeyId: (kind: TokenType) => string;
  /** Called only after the record is durable (invariant 6). Throws when the key is gone. */
  readonly mint: (token: TokenRecord, keyId: string) => Promise<string>;
  /** `{keys: [...]}`: every public key that verifies a tunnel token in JWT form (RFC 7517). */
  readonly jwks: () => Promise<object>;
  /** What operators have decided about a label, by now. */
  readonly readStanding: (label: Label) => Promise<Standing>;
  /** Has a revocation that is recorded enforced. `pending`: the plugin is away, and will when it is back. Never rejects. */
  readonly tellRevoked: (label: Label) => Promise<"enforced" | "pending">;
  readonly readStatus: ReadTunnelStatus;
  readonly readiness: () => Promise<ReadinessChecks>;
  /** What the canary has found; undefined when there is none, or it has found nothing yet. Absent: there is none. */
  readonly readCanary?: () => Promise<CanaryReport | undefined>;
  readonly renderClientConfig: (grant: TokenGrant, options: ClientConfigOptions) => string;
  /** The CA that frpc must trust, in PEM, as it is now. */
  readonly caPem: () => string;
  /** Remembers a refusal; `label` where it was proved. Called behind the answer. Never throws. */
  readonly noteRefusal: (code: RefusalCode, label: Label | undefined) => void;
  now(): Date;
  newRequestId(): string;
  readonly log: Log;
  readonly settings: TokenAppSettings;
};
