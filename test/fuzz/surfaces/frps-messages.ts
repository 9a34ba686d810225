/** What frps would send for some client: real Login, NewProxy and CloseProxy messages with credentials of every kind. */
import { deriveLoginKey } from "@keyhole/frp";
import type { Prng } from "../../chaos/prng.ts";
import { mintHmacToken, mintStellarJwt, mintTicketText, mintTunnelJwt } from "../mint.ts";
import { mutateText, randomText } from "../mutate.ts";
import type { FuzzWallet, FuzzWorld } from "../world.ts";
import { drawClaim } from "./credentials.ts";
import { drawText, splice } from "./variants.ts";

/** An operation and its content. */
export type FrpsMessage = { readonly op: string; readonly content: Record<string, unknown> };

/** Draws a message: two of three are logins. */
export function drawMessage(world: FuzzWorld, prng: Prng): FrpsMessage {
  const chance = prng.next();
  if (chance < 0.66) return { op: "Login", content: drawLogin(world, prng) };
  if (chance < 0.92) return { op: "NewProxy", content: drawNewProxy(world, prng) };
  return { op: "CloseProxy", content: { user: drawUser(world, prng, prng.pick(world.wallets)), proxy_name: "app" } };
}

function drawLogin(world: FuzzWorld, prng: Prng): Record<string, unknown> {
  const timestamp = 1_795_309_034;
  const { metas, privilegeKey } = drawCredential(world, prng);
  const content: Record<string, unknown> = {
    version: "0.71.0",
    hostname: "vm",
    os: "linux",
    arch: "amd64",
    privilege_key: privilegeKey ?? (prng.chance(0.97) ? deriveLoginKey("", timestamp) : randomText(prng)),
    timestamp,
    metas,
    client_spec: {},
    pool_count: 1,
    client_address: `127.0.0.1:${prng.between(1024, 65_535)}`,
  };
  if (prng.chance(0.3)) content["run_id"] = prng.chance(0.7) ? mintTicketText(world, prng, prng.chance(0.6)).ticket : randomText(prng);
  if (prng.chance(0.2)) content["user"] = prng.pick([prng.pick(world.wallets).label, prng.pick(world.wallets).address, randomText(prng)]);
  return content;
}

type Carried = { readonly metas: Record<string, unknown>; readonly privilegeKey?: string };

/** One credential in its place; sometimes in another's, or two. */
function drawCredential(world: FuzzWorld, prng: Prng): Carried {
  const draw = (mint: (isGood: boolean) => string): string => drawText(prng, mint, []).text;
  const hmac = (): string => draw((isGood) => mintHmacToken(world, prng, isGood));
  const tunnelJwt = (): string => draw((isGood) => mintTunnelJwt(world, prng, isGood));
  const stellarJwt = (): string => draw((isGood) => mintStellarJwt(world, prng, isGood));
  const claim = (): Record<string, unknown> => drawClaim(world, prng).metas as Record<string, unknown>;
  const one = prng.pick<() => Carried>([
    () => ({ metas: { token: hmac() } }),
    () => ({ metas: { token: hmac() } }),
    () => ({ metas: { token: tunnelJwt() } }),
    () => ({ metas: {}, privilegeKey: tunnelJwt() }),
    () => ({ metas: { jwt: stellarJwt() } }),
    () => ({ metas: {}, privilegeKey: stellarJwt() }),
    () => ({ metas: claim() }),
    () => ({ metas: { [prng.pick(["token", "jwt", "auth_claim", "Token", "x"])]: prng.pick([hmac, tunnelJwt, stellarJwt])() } }),
    () => ({ metas: { token: hmac(), ...(prng.chance(0.5) ? { jwt: stellarJwt() } : claim()) } }),
    () => ({ metas: { token: splice(hmac(), tunnelJwt(), prng) } }),
  ])();
  return typeof one.metas === "object" && one.metas !== null ? one : { ...one, metas: {} };
}

function drawUser(world: FuzzWorld, prng: Prng, wallet: FuzzWallet): Record<string, unknown> {
  const { ticket } = mintTicketText(world, prng, prng.chance(0.8), prng.chance(0.9) ? wallet : undefined);
  return {
    user: prng.chance(0.95) ? wallet.label : mutateText(wallet.label, prng),
    // Never one that another input had: whoever knows the id of a session is believed to be frps, which was told it.
    metas: {
      session: prng.chance(0.9)
        ? Array.from({ length: 22 }, () => prng.pick([..."0123456789abcdefghijklmnopqrstuvwxyzABCDEF-_"])).join("")
        : "",
    },
    run_id: prng.chance(0.85) ? ticket : mutateText(ticket, prng),
  };
}

function drawNewProxy(world: FuzzWorld, prng: Prng): Record<string, unknown> {
  const wallet = prng.pick(world.wallets);
  const { label } = wallet;
  const names = [`${label}.app`, label, `personal-server-${label}`, "ps-0123abcd", `${label}.personal-server`];
  const content: Record<string, unknown> = {
    user: drawUser(world, prng, wallet),
    proxy_name: prng.chance(0.8)
      ? prng.pick(names)
      : prng.pick([mutateText(names[0] ?? "", prng), `${prng.pick(world.wallets).label}.app`, "personal-server"]),
    proxy_type: prng.chance(0.9) ? "http" : prng.pick(["tcp", "https", "HTTP", "", "stcp", "http "]),
    subdomain: prng.pick([label, label, label, "", label.toUpperCase(), prng.pick(world.wallets).label]),
  };
  if (prng.chance(0.25)) {
    Object.assign(
      content,
      prng.pick([
        { custom_domains: [`${prng.pick(world.wallets).label}.${world.domain}`] },
        { custom_domains: [] },
        { locations: ["/"] },
        { group: "g", group_key: "k" },
        { host_header_rewrite: "x" },
        { headers: { "x-forwarded-proto": "https" } },
        { response_headers: { "x-keyhole-app": "1" } },
        { route_by_http_user: "u" },
        { remote_port: 22 },
        { use_encryption: true },
        { annotations: { a: "b" } },
        { metas: { a: "b" } },
        { bandwidth_limit: "1MB" },
        { multiplexer: "httpconnect" },
        { future: prng.pick([1, 0, "", "x", [], [1], {}, { a: 1 }, null]) },
      ]),
    );
  }
  return content;
}
