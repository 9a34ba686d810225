/** frp.md §5: a JWT from a file in `privilege_key`, with frps itself on an empty token. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { deriveLoginKey } from "../src/index.ts";
import { awaitFact } from "./support/await-fact.ts";
import { admit } from "./support/hook-server.ts";
import { startApp } from "./support/servers.ts";
import { startWorld } from "./support/world.ts";

const ticket = "O".repeat(63);

it("the file's content is the privilege_key of each Login, trimmed and as it is then; without the file frpc goes on trying", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({
    script: { login: (content) => admit(content, content.runId === "" ? { run_id: ticket } : {}) },
  });
  const path = join(world.directory, "token.jwt");
  const auth = { method: "oidc", oidc: { tokenSource: { type: "file", file: { path } } } };
  const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a", extra: { auth } });
  await awaitFact("frpc misses the file", () => client.log().includes("failed to read file"), { seen: () => world.describe() });
  expect(world.hook.logins).toEqual([]);
  await writeFile(path, "  first.jwt.x\n\n");
  await world.awaitVisit("a.tunnel.test", "app");
  await writeFile(path, "second.jwt.x");
  await world.kick(ticket);
  await awaitFact("it is back", () => world.hook.logins.length === 3, { seen: () => world.describe() });
  await world.awaitVisit("a.tunnel.test", "app");
  expect(world.hook.logins.filter((login) => login.metas["nonce"] === undefined).map((login) => login.privilegeKey)).toEqual([
    "first.jwt.x",
    "second.jwt.x",
  ]);
  // The hook's key passes frps for whatever timestamp came with it.
  expect(admit(world.hook.logins[0] as never)).toMatchObject({
    content: { privilege_key: deriveLoginKey("", world.hook.logins[0]?.timestamp ?? 0) },
  });
  await rm(path);
  await world.kick(ticket);
  await awaitFact("frpc misses the file again", () => client.log().split("failed to read file").length > 2, {
    seen: () => world.describe(),
  });
  expect(client.hasExited()).toBe(false);
});
