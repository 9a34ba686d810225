import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { locateBinaries, obtainPinned } from "./binary.ts";
import { cachedDirectory } from "./binary-cache.ts";
import { digestFile, verifyBinary } from "./binary-digest.ts";
import { isAtLeast } from "./binary-module.ts";
import { platformName, releaseArchiveName } from "./binary-platform.ts";
import type { DownloadLimits } from "./binary-release.ts";
import { frpVersion, type VersionPin, versionPin } from "./version-pin.ts";

const limits: DownloadLimits = { headersMs: 300, stallMs: 300, totalMs: 2000, maxBytes: 1 << 20 };
let root: string;
let cacheDir: string;
let lines: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "keyhole-frp-"));
  cacheDir = join(root, "cache");
  lines = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A program that tells a version, as frps and frpc do. */
async function fakeProgram(path: string, version = frpVersion): Promise<string> {
  await writeFile(path, `#!/bin/sh\necho ${version}\n`);
  await chmod(path, 0o755);
  return path;
}

/** An archive laid out like frp's own, and the pin that fits it. */
async function fakeRelease(version?: string): Promise<{ archive: string; pin: VersionPin }> {
  const name = `frp_${frpVersion}_${platformName()}`;
  await mkdir(join(root, name));
  for (const program of ["frps", "frpc"]) await fakeProgram(join(root, name, program), version);
  await writeFile(join(root, name, "LICENSE"), "Apache-2.0");
  const archive = join(root, releaseArchiveName(frpVersion, platformName()));
  execFileSync("tar", ["-czf", archive, "-C", root, name]);
  return { archive, pin: { ...versionPin, releaseArchives: { [platformName()]: await digestFile(archive) } } };
}

async function serve(answer: (response: ServerResponse, url: string) => void) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(response, request.url ?? "");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** tar is found, go is not: what the release way leaves is then told by the build's refusal. */
async function pathWithoutGo(): Promise<string> {
  const directory = join(root, "path");
  await mkdir(directory, { recursive: true });
  for (const tool of ["tar", "gzip", "sh"]) {
    const real = execFileSync("sh", ["-c", `command -v ${tool}`])
      .toString()
      .trim();
    await symlink(real, join(directory, tool)).catch(() => {});
  }
  return directory;
}

const obtain = async (pin: VersionPin, env: Record<string, string | undefined>) =>
  obtainPinned({ pin, limits, cacheDir, env: { PATH: await pathWithoutGo(), ...env }, say: (line) => lines.push(line) });
const failureOf = (promise: Promise<unknown>): Promise<{ code?: string; message?: string }> =>
  promise.then(
    () => ({}),
    (error) => error,
  );

describe("the release archive", () => {
  it("8: is fetched by platform, checked, unpacked, and found again without the network", async () => {
    const { archive, pin } = await fakeRelease();
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    const binaries = await obtain(pin, { KEYHOLE_FRP_RELEASES: `${server.url}/mirror/` });
    expect(server.asked).toEqual([`/mirror/v${frpVersion}/${releaseArchiveName(frpVersion, platformName())}`]);
    expect(execFileSync(binaries.frpc.path).toString().trim()).toBe(frpVersion);
    await verifyBinary(binaries.frps);
    expect(await locateBinaries({ cacheDir, env: {} })).toEqual(binaries);
    expect(await obtain(pin, { KEYHOLE_FRP_RELEASES: server.url })).toEqual(binaries);
    expect(server.asked).toHaveLength(1);
    expect(await readdir(cacheDir)).toEqual([`${frpVersion}-${platformName()}`]);
  });

  it("8: with another checksum stops everything and installs nothing", async () => {
    const { archive } = await fakeRelease();
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    const failure = await failureOf(obtain(versionPin, { KEYHOLE_FRP_RELEASES: server.url }));
    expect(failure).toMatchObject({ code: "FRP_DOWNLOAD_CHECKSUM", message: expect.stringContaining("Nothing was installed") });
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it("8: that holds another version than it says is refused", async () => {
    const { archive, pin } = await fakeRelease("0.70.0");
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    expect(await failureOf(obtain(pin, { KEYHOLE_FRP_RELEASES: server.url }))).toMatchObject({ code: "FRP_BINARY_VERSION" });
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ["answers badly", (response) => response.writeHead(404).end("not here"), "the server answered 404"],
    ["never answers", () => {}, "no answer within 0.3 s"],
    ["stalls", (response) => response.writeHead(200).write("begun"), "no byte for 0.3 s"],
    [
      "breaks off",
      (response) => response.writeHead(200, { "content-length": "100" }).write("x", () => response.destroy()),
      "the connection failed",
    ],
    ["never ends", (response) => response.writeHead(200).end(Buffer.alloc((1 << 20) + 1)), "it is larger than"],
    ["redirects in a circle", (response) => response.writeHead(302, { location: "/" }).end(), "the connection failed"],
  ])("is passed over with one clear line when the server %s", async (_name, answer, reason) => {
    await using server = await serve(answer);
    const failure = await failureOf(obtain(versionPin, { KEYHOLE_FRP_RELEASES: server.url }));
    expect(lines.filter((line) => line.startsWith("no release archive: "))).toEqual([
      expect.stringMatching(new RegExp(`^no release archive: ${reason}.*; building from the Go module instead$`)),
    ]);
    // The next way was taken; here it ends because there is no Go.
    expect(failure).toMatchObject({ code: "FRP_BUILD_FAILED" });
  });

  it("is passed over when it trickles for longer than a download may take", async () => {
    let timer: NodeJS.Timeout | undefined;
    await using server = await serve((response) => {
      response.writeHead(200);
      timer = setInterval(() => response.write("x"), 50);
    });
    await failureOf(obtain(versionPin, { KEYHOLE_FRP_RELEASES: server.url }));
    clearInterval(timer);
    expect(lines).toContainEqual(expect.stringContaining("it took longer than 2 s"));
  });

  it("is passed over when nobody is there, when the address is none, and for a platform without one", async () => {
    const { url } = await (async () => {
      await using server = await serve(() => {});
      return { url: server.url };
    })();
    await failureOf(obtain(versionPin, { KEYHOLE_FRP_RELEASES: url }));
    await failureOf(obtain(versionPin, { KEYHOLE_FRP_RELEASES: "file:///etc" }));
    await failureOf(obtain({ ...versionPin, releaseArchives: {} }, {}));
    expect(lines.filter((line) => line.startsWith("no release archive: "))).toEqual([
      expect.stringContaining("the connection failed (ECONNREFUSED)"),
      expect.stringContaining("no http or https URL"),
      expect.stringContaining(`no pinned archive for ${platformName()}`),
    ]);
  });
});

describe("the cache", () => {
  it("8: two that get the binaries at once both end with whole ones", async () => {
    const { archive, pin } = await fakeRelease();
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    const all = await Promise.all(Array.from({ length: 6 }, () => obtain(pin, { KEYHOLE_FRP_RELEASES: server.url })));
    for (const binaries of all) await verifyBinary(binaries.frps);
    expect(new Set(all.map((binaries) => JSON.stringify(binaries))).size).toBe(1);
    expect(await readdir(cacheDir)).toHaveLength(1);
  });

  it("8: a binary that was changed is not found any more, not started, and got anew by set-up", async () => {
    const { archive, pin } = await fakeRelease();
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    const before = await obtain(pin, { KEYHOLE_FRP_RELEASES: server.url });
    await appendFile(before.frpc.path, "# changed\n");
    expect(await failureOf(locateBinaries({ cacheDir, env: {} }))).toMatchObject({ code: "FRP_BINARY_DIGEST" });
    expect(await failureOf(verifyBinary(before.frpc))).toMatchObject({ code: "FRP_BINARY_DIGEST" });
    expect(await obtain(pin, { KEYHOLE_FRP_RELEASES: server.url })).toEqual(before);
    expect(lines).toContainEqual(expect.stringContaining("getting it anew"));
    await verifyBinary(before.frpc);
  });

  it("8: that is empty, half or damaged says to run set-up", async () => {
    const expected = { code: "FRP_BINARY_MISSING", message: expect.stringContaining("npm run setup") };
    expect(await failureOf(locateBinaries({ cacheDir, env: {} }))).toMatchObject(expected);
    await mkdir(cachedDirectory(cacheDir, frpVersion), { recursive: true });
    for (const record of ["", "null", "[]", '{"frps":"x","frpc":1}', `{"frps":"${"0".repeat(64)}","frpc":"${"0".repeat(64)}"}`]) {
      await writeFile(join(cachedDirectory(cacheDir, frpVersion), "digests.json"), record);
      expect(await failureOf(locateBinaries({ cacheDir, env: {} }))).toMatchObject(expected);
    }
    expect(await failureOf(verifyBinary({ path: join(root, "nothing"), sha256: "" }))).toMatchObject(expected);
  });
});

describe("FRPS_BIN and FRPC_BIN", () => {
  it("8: are taken before everything else when their version is right", async () => {
    const env = { FRPS_BIN: await fakeProgram(join(root, "my-frps")), FRPC_BIN: await fakeProgram(join(root, "my-frpc")) };
    const binaries = await obtain(versionPin, env);
    expect(binaries.frps).toEqual({ path: env.FRPS_BIN, sha256: await digestFile(env.FRPS_BIN) });
    expect(await locateBinaries({ cacheDir, env })).toEqual(binaries);
    expect(lines).toEqual([`frps ${frpVersion}: FRPS_BIN`, `frpc ${frpVersion}: FRPC_BIN`]);
  });

  it("one of them leaves the other to the cache; an empty one is an absent one", async () => {
    const { archive, pin } = await fakeRelease();
    const bytes = await readFile(archive);
    await using server = await serve((response) => response.end(bytes));
    const named = await fakeProgram(join(root, "my-frps"));
    const binaries = await obtain(pin, { FRPS_BIN: named, FRPC_BIN: "", KEYHOLE_FRP_RELEASES: server.url });
    expect(binaries.frps.path).toBe(named);
    expect(binaries.frpc.path).toContain(cacheDir);
    expect(await locateBinaries({ cacheDir, env: { FRPS_BIN: named } })).toEqual(binaries);
  });

  it("8: of another version, or that cannot be run, are refused by their names", async () => {
    const old = await fakeProgram(join(root, "old"), "0.70.1");
    const silent = join(root, "silent");
    await writeFile(silent, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    for (const [path, code] of [
      [old, "FRP_BINARY_VERSION"],
      [silent, "FRP_BINARY_VERSION"],
      [join(root, "absent"), "FRP_BINARY_MISSING"],
    ] as const) {
      const expected = { code, message: expect.stringContaining("FRPC_BIN") };
      expect(await failureOf(obtain(versionPin, { FRPC_BIN: path }))).toMatchObject(expected);
      expect(await failureOf(locateBinaries({ cacheDir, env: { FRPC_BIN: path } }))).toMatchObject(expected);
    }
  });
});

describe("the build from the Go module", () => {
  const noRelease = { ...versionPin, releaseArchives: {} };

  it.each([
    ["no Go at all", undefined, "go does not run: it was not found"],
    ["an older Go than frp's go directive", "go version go1.24.9 linux/amd64", "the go on the PATH is 1.24.9"],
    ["a Go that tells no version", "hello", "of an unknown version"],
  ])("says what is needed with %s", async (_name, goVersion, words) => {
    const directory = await pathWithoutGo();
    if (goVersion !== undefined) await writeFile(join(directory, "go"), `#!/bin/sh\necho '${goVersion}'\n`, { mode: 0o755 });
    const failure = await failureOf(obtain(noRelease, {}));
    expect(failure).toMatchObject({ code: "FRP_BUILD_FAILED", message: expect.stringContaining(words) });
    expect(failure.message).toContain(`Go ${versionPin.minimumGo} or newer`);
  });

  it("8: that takes a module our go.sum does not name installs nothing", async () => {
    const directory = await pathWithoutGo();
    const go = [
      "#!/bin/sh",
      'if [ "$1" = version ]; then echo "go version go1.26.0 linux/amd64"; exit 0; fi',
      'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\necho 0.71.0\\n" > "$2"',
      'echo "example.invalid/evil v1.0.0 h1:AAAA=" >> go.sum',
    ];
    await writeFile(join(directory, "go"), `${go.join("\n")}\n`, { mode: 0o755 });
    const failure = await failureOf(obtain(noRelease, {}));
    expect(failure).toMatchObject({ code: "FRP_BUILD_FAILED", message: expect.stringContaining("example.invalid/evil v1.0.0") });
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it("compares versions by number", () => {
    expect(["1.25.0", "1.25", "1.26.8", "1.100.0", "2.0"].every((found) => isAtLeast(found, "1.25.0"))).toBe(true);
    expect(["1.24.9", "1.9", "0.99.9", "", "x"].some((found) => isAtLeast(found, "1.25.0"))).toBe(false);
  });
});
