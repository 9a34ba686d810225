import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, it } from "vitest";
import { serveAdmin } from "./admin-app.ts";
import { readAdminKey } from "./admin-port.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-admin-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("starts with no key that can be guessed, that is no Bearer, or that others may read", () => {
  const file = join(dir, "key");
  const read = (text: string, mode = 0o600): string => {
    writeFileSync(file, text);
    rmSync(file);
    writeFileSync(file, text, { mode });
    return readAdminKey(file, {});
  };
  expect(read(`${"k".repeat(32)}\n`)).toBe("k".repeat(32));
  for (const text of ["", "k".repeat(31), `${"k".repeat(32)} x`, "k".repeat(513)])
    expect(() => read(text)).toThrow(/KEYS_UNREADABLE|key|empty/);
  expect(() => read("k".repeat(32), 0o644)).toThrow("may be read by everybody");
  expect(() => readAdminKey("credential:admin", {})).toThrow("none were handed over");
});

it("takes on the socket the name of who orders, and refuses one that is none", async () => {
  const orderers: string[] = [];
  const app = new Hono();
  serveAdmin(
    app,
    {
      fetch: (_request, { orderer }) => {
        orderers.push(orderer);
        return new Response("{}");
      },
    },
    () => "request-1",
  );
  await app.request("/v1/blocks");
  await app.request("/v1/blocks", { headers: { "Keyhole-Operator": "ann as root" } });
  expect(orderers).toEqual(["socket", "ann as root"]);
  for (const name of ["", "x".repeat(65), "caf\u00e9"]) {
    const answer = await app.request("/v1/blocks", { headers: { "Keyhole-Operator": name } });
    expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ code: "ORDERER_MALFORMED" })]);
  }
});
