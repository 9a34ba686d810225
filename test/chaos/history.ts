/**
 * What a chaos run did and saw, event by event, in the order in which it became known. The oracle judges nothing else.
 * `at` is in ms of one clock that never steps back; tokens' instants are Unix seconds.
 */
import { type Part, parts } from "../support/keyhole-parts.ts";

/** What can be killed. `frpc` is a person's client, everything else is ours. */
export const targets = [...parts, "frps", "frpc"] as const;
export type Target = (typeof targets)[number];

/** The clock of a run: as the wall's, but it never steps. */
export const now = (): number => performance.timeOrigin + performance.now();

/** What a visitor got. `client` is one run of one frpc: a restarted frpc is another client. */
export type Outcome =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly contentType: string;
      /** What the app says of itself, when an app answered. */
      readonly app?: { readonly label: string; readonly client: string; readonly nonce: string };
      /** The code of a problem document. */
      readonly code?: string;
      readonly excerpt: string;
    }
  /** `hadHead`: the answer had begun. */
  | { readonly kind: "failed"; readonly error: string; readonly hadHead: boolean };

/** How a repeated proof stood when it was sent again. */
export type ProofUse = "fresh" | "again-after-token" | "again-after-silence";

/** One token that the service has given away. */
export type Grant = { readonly issuedAt: number; readonly expiresAt: number };

type ClientEvent = { readonly at: number; readonly label: string; readonly client: string };
type PartEvent = { readonly at: number; readonly part: Part };

export type RequestEvent = {
  readonly kind: "request";
  /** When it had ended. */
  readonly at: number;
  readonly startedAt: number;
  readonly label: string;
  readonly method: "GET" | "POST";
  readonly nonce: string;
  readonly outcome: Outcome;
};

export type TokenAnswer = {
  readonly kind: "token-answered";
  readonly at: number;
  readonly askedAt: number;
  readonly label: string;
  readonly proof: ProofUse;
  readonly outcome: Outcome;
  /** Only when the answer was 200 and read whole. */
  readonly grant?: Grant;
};

export type StatusPoll = {
  readonly kind: "status-polled";
  readonly at: number;
  readonly startedAt: number;
  readonly states: Readonly<Record<Part, { readonly state: string; readonly pid?: number }>>;
};

/** An order that was acknowledged. `isEnforced`: it was said that new requests are refused from then on. */
export type OrderAnswer = {
  readonly kind: "order-answered";
  readonly at: number;
  readonly askedAt: number;
  readonly label: string;
  readonly what: "revoke" | "owner-revoke" | "kick" | "block" | "unblock";
  readonly isEnforced: boolean;
};

export type HistoryEvent =
  | OrderAnswer
  | { readonly kind: "order-asked"; readonly at: number; readonly label: string; readonly what: OrderAnswer["what"] }
  /** A backup is in place; `startedAt` is when that began. */
  | { readonly kind: "restored"; readonly at: number; readonly startedAt: number }
  | RequestEvent
  | TokenAnswer
  | StatusPoll
  | (PartEvent & { readonly kind: "part-starting" | "part-killed" })
  | (PartEvent & { readonly kind: "part-up"; readonly pid: number })
  /** It ended, or did not start, and nobody had killed it. */
  | (PartEvent & { readonly kind: "part-died"; readonly detail: string })
  | { readonly kind: "frps-killed"; readonly at: number; readonly pid: number }
  /** Another frps than before is there. */
  | { readonly kind: "frps-up"; readonly at: number; readonly pid: number }
  /** How many there are, once all is well again. */
  | { readonly kind: "frps-counted"; readonly at: number; readonly count: number }
  /** `issuedAt` is that of the token in its file. */
  | (ClientEvent & { readonly kind: "client-started"; readonly issuedAt: number })
  /** frpc has printed that its proxy is registered. */
  | (ClientEvent & { readonly kind: "client-established" })
  | (ClientEvent & { readonly kind: "client-frozen" | "client-thawed" | "client-killed" | "client-stopped" })
  | (ClientEvent & { readonly kind: "client-died"; readonly detail: string })
  | { readonly kind: "token-asked"; readonly at: number; readonly label: string }
  /** An app was reached twice by a request that must not be repeated. */
  | (ClientEvent & { readonly kind: "reached-again"; readonly nonce: string })
  /** Nobody serves the label though somebody should, or the wrong one does. */
  | { readonly kind: "not-back"; readonly at: number; readonly label: string; readonly detail: string }
  /** Something else that is not as it was promised. */
  | { readonly kind: "broken-promise"; readonly at: number; readonly label?: string; readonly detail: string };

/** Where events are told. */
export type Tell = (event: HistoryEvent) => void;
