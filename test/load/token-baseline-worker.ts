/**
 * The token endpoint as one would write it in an afternoon, with the libraries that everybody would take: Hono, viem, jose,
 * better-sqlite3. It keeps the promise that ours keeps, and no other: when an answer leaves, its record is on the disk, by one
 * commit a request. A process of its own, as ours is; the folder for its file is its argument.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { serve } from "@hono/node-server";
import Database from "better-sqlite3";
import { Hono } from "hono";
import { SignJWT } from "jose";
import { verifyMessage } from "viem";

const ttlSeconds = 86_400;
const windowSeconds = 300;
const addressForm = /^0x[0-9a-fA-F]{40}$/;
const signatureForm = /^0x[0-9a-f]{130}$/;

const database = new Database(join(process.argv[2] as string, "baseline.db"));
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(`
  CREATE TABLE tokens (hash TEXT PRIMARY KEY, wallet TEXT NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
  CREATE INDEX tokens_of_wallet ON tokens (wallet, issued_at);
`);
const insert = database.prepare("INSERT INTO tokens VALUES (?, ?, ?, ?)");
const secret = await crypto.subtle.importKey("raw", randomBytes(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

const app = new Hono();
app.post("/v1/tunnel/token", async (context) => {
  const { walletAddress, timestamp, signature } = await context.req.json<Record<string, unknown>>();
  const isFormed =
    typeof walletAddress === "string" && addressForm.test(walletAddress) && typeof signature === "string" && signatureForm.test(signature);
  if (!isFormed) return context.json({ error: "INVALID_SIGNATURE" }, 400);
  const now = Math.floor(Date.now() / 1000);
  if (typeof timestamp !== "number" || Math.abs(now - timestamp) > windowSeconds) return context.json({ error: "INVALID_TIMESTAMP" }, 400);
  const message = `Sign this message to authorize tunnel access for your Vana Personal Server.\n\nWallet: ${walletAddress}\nTimestamp: ${timestamp}`;
  const isSigned = await verifyMessage({ address: walletAddress as `0x${string}`, message, signature: signature as `0x${string}` });
  if (!isSigned) return context.json({ error: "INVALID_SIGNATURE" }, 400);
  const subdomain = walletAddress.toLowerCase();
  const token = await new SignJWT({ subdomain })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(subdomain)
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
    .sign(secret);
  insert.run(createHash("sha256").update(token).digest("hex"), subdomain, now, now + ttlSeconds);
  const expiresAt = new Date((now + ttlSeconds) * 1000).toISOString();
  return context.json({ token, subdomain, serverAddr: "127.0.0.1", serverPort: 7000, expiresAt });
});
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => void process.stdout.write(`listening on ${port}.\n`));
