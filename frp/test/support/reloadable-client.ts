/** A frpc that lets go of its proxies, or takes others, without ending its session: by its own admin server's reload. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderToml, type TomlValue } from "../../src/toml.ts";
import { awaitFact } from "./await-fact.ts";
import type { Child } from "./child.ts";
import { freePorts } from "./servers.ts";
import type { World } from "./world.ts";

/** The running frpc. */
export type ReloadableClient = { readonly process: Child; reload(proxies: readonly TomlValue[]): Promise<void> };

/** Starts it with these proxies. */
export async function startReloadableClient(world: World, proxies: readonly TomlValue[]): Promise<ReloadableClient> {
  const [adminPort = 0] = await freePorts(1);
  const path = join(world.directory, `reloadable-${adminPort}.toml`);
  const write = (next: readonly TomlValue[]): Promise<void> =>
    writeFile(
      path,
      renderToml({
        serverAddr: "127.0.0.1",
        serverPort: world.settings.bindPort,
        loginFailExit: false,
        webServer: { addr: "127.0.0.1", port: adminPort, user: "u", password: "p" },
        proxies: next,
      }),
    );
  await write(proxies);
  const process = world.runClient(path);
  return {
    process,
    reload: async (next) => {
      await write(next);
      const authorization = `Basic ${Buffer.from("u:p").toString("base64")}`;
      await awaitFact("frpc has taken its new file", async () => {
        const answer = await fetch(`http://127.0.0.1:${adminPort}/api/reload`, { headers: { authorization } }).catch(() => undefined);
        return answer?.status === 200;
      });
    },
  };
}
