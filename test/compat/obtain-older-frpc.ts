/** What `npm run compat` runs first: gets every older frpc into `.cache/frp`, so that the tests need not wait for Go. */
import process from "node:process";
import { type OlderVersion, obtainOlderFrpc, olderVersions } from "./older-frpc.ts";

for (const version of Object.keys(olderVersions) as OlderVersion[]) {
  const path = await obtainOlderFrpc(version, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`frpc ${version}: ${path}\n`);
}
