/** The owner of a wallet: buys tokens, one after the other, and revokes all of them at times. */
import { now } from "../chaos/history.ts";
import type { RunningKeyhole } from "../support/keyhole-process.ts";
import { domain } from "../support/keyhole-process.ts";
import { visit } from "../support/visitor.ts";
import type { OwnedWallet } from "../support/wallet.ts";
import type { BoughtToken, Order } from "./history.ts";
import type { Credential } from "./racer.ts";

/** A token with when it was asked for; undefined when there was none to have (too fast, blocked, revoked meanwhile). */
export async function buyToken(
  keyhole: RunningKeyhole,
  wallet: OwnedWallet,
): Promise<{ readonly credential: Credential; readonly bought: BoughtToken } | undefined> {
  const askedAt = now();
  const answer = await post(keyhole, "/v1/tunnel/token", wallet.prove(Math.floor(Date.now() / 1000)));
  if (answer.status !== 200) return undefined;
  const { token } = JSON.parse(answer.body) as { token: string };
  const issuedAt = Number(token.split("_")[2]);
  return { credential: { token, issuedAt }, bought: { label: wallet.label, askedAt, issuedAt } };
}

/** Revokes everything that the wallet has. Undefined when it was not recorded. */
export async function revokeAll(keyhole: RunningKeyhole, wallet: OwnedWallet): Promise<Order | undefined> {
  const timestamp = Math.floor(Date.now() / 1000);
  const askedAt = now();
  const answer = await post(keyhole, "/v1/tunnel/revoke", wallet.proveRevocation(timestamp));
  const answeredAt = now();
  if (answer.status !== 200 && answer.status !== 202) return undefined;
  const { notBefore } = JSON.parse(answer.body) as { notBefore: string };
  return {
    what: "owner-revoke",
    label: wallet.label,
    askedAt,
    answeredAt,
    isEnforced: answer.status === 200,
    notBefore: Date.parse(notBefore) / 1000,
  };
}

const post = (keyhole: RunningKeyhole, path: string, body: unknown) =>
  visit(keyhole.edgePort, domain, { method: "POST", path, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
