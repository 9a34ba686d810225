import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { frpVersion, versionPin } from "./version-pin.ts";

const read = (name: string) => readFile(new URL(`../${name}`, import.meta.url), "utf8");

it("8: version.json, go.mod and go.sum name the same frp", async () => {
  const { path, sum, goModSum } = versionPin.goModule;
  const goMod = await read("go.mod");
  const goSum = (await read("go.sum")).split("\n");
  expect(goMod).toContain(`require ${path} v${frpVersion}\n`);
  expect(goMod).toContain(`\ngo ${versionPin.minimumGo}\n`);
  expect(goSum.filter((line) => line.startsWith(`${path} `))).toEqual([
    `${path} v${frpVersion} ${sum}`,
    `${path} v${frpVersion}/go.mod ${goModSum}`,
  ]);
});

it("8: go.sum vouches for frp's fork of yamux, which the checksum database does not know", async () => {
  const replacement = /replace github\.com\/hashicorp\/yamux => (\S+) (\S+)/.exec(await read("go.mod"));
  expect(await read("go.sum")).toContain(`${replacement?.[1]} ${replacement?.[2]} h1:`);
});

it("8: every release archive is pinned by a SHA-256", () => {
  expect(Object.keys(versionPin.releaseArchives)).toEqual(["linux", "darwin", "windows"].flatMap((os) => [`${os}_amd64`, `${os}_arm64`]));
  for (const digest of Object.values(versionPin.releaseArchives)) expect(digest).toMatch(/^[0-9a-f]{64}$/);
});
