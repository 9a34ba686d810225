/** The search of the logs at the end of a run, tried: a search that cannot fail is worth nothing. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLogScan } from "./scan/scan-log.ts";
import { scanRecord } from "./scan/scan-record.ts";
import { deriveSecretForms } from "./scan/secret-forms.ts";
import { openTemporaryDirectory } from "./support/temporary-directory.ts";

const key = randomBytes(32);
const password = 'p"ss wörd/of+the=parts';

/** A record with these lines and secrets, and what is wrong with it. */
function problemsOf(lines: readonly string[], secrets: readonly string[], expected?: Parameters<typeof scanRecord>[1]): readonly string[] {
  using folder = openTemporaryDirectory();
  writeFileSync(join(folder.path, "inside-1.log"), lines.map((line) => `${line}\n`).join(""));
  writeFileSync(join(folder.path, "1.secrets"), secrets.map((secret) => `${JSON.stringify({ kind: "a ticket", secret })}\n`).join(""));
  return scanRecord(folder.path, expected).problems.map((problem) => problem.replace(`${folder.path}/`, ""));
}

const clean = ['{"level":"info","event":"login.admitted","label":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}', "plain words"];

describe("a secret that was planted in a line", () => {
  const basic = Buffer.from(`frps:${password}`).toString("base64");
  it.each([
    ["as it is", password, `{"msg":"the password is ${password}"}`],
    ["in JSON", password, JSON.stringify({ cause: `bad: ${password}` })],
    ["in JSON within JSON", password, JSON.stringify({ cause: JSON.stringify({ password }) })],
    ["in a URL", password, `GET /?p=${encodeURIComponent(password)}`],
    ["in a header of Basic authorization", password, `authorization: Basic ${basic}`],
    ["a key in hexadecimal digits, of which base64url is known", key.toString("base64url"), `key ${key.toString("hex")}`],
    ["the same in capitals", key.toString("base64url"), `key ${key.toString("hex").toUpperCase()}`],
    ["a key in base64, of which hexadecimal digits are known", `0x${key.toString("hex")}`, `"${key.toString("base64")}"`],
    ["a key inside something that was encoded", key.toString("base64url"), Buffer.concat([Buffer.from("x"), key]).toString("base64url")],
    ["a key that was logged as a Buffer", key.toString("hex"), JSON.stringify({ key })],
    ["a key that was logged as bytes", key.toString("hex"), JSON.stringify({ key: new Uint8Array(key) })],
    ["in lower case, as a host would be", key.toString("base64url"), `host ${key.toString("base64url").toLowerCase()}.tunnel.localhost`],
    ["cut off behind its beginning", key.toString("hex"), `${key.toString("hex").slice(0, 30)}…`],
    ["cut off before its end", key.toString("hex"), `…${key.toString("hex").slice(-30)}`],
    ["at the very beginning and end", password, password],
  ])("9: is found %s, by file and line, and is not repeated in the report", (_how, secret, line) => {
    const problems = problemsOf([...clean, line, ...clean], ["another secret that is nowhere", secret]);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(problem).toMatch(/^inside-1\.log:3: a ticket, [a-zA-Z][a-zA-Z0-9, -]+$/);
      expect(problem).not.toContain(secret);
    }
  });

  it("is found among thousands of others and of lines, in the time that a run can spare", () => {
    const secrets = Array.from({ length: 5000 }, () => randomBytes(32).toString("base64url"));
    const noise = Array.from({ length: 50_000 }, (_, at) => `{"level":"info","at":${at},"id":"${randomBytes(16).toString("base64url")}"}`);
    noise[31_416] = `{"oops":"${secrets[4711]}"}`;
    const startedAt = performance.now();
    expect(problemsOf(noise, secrets)).toEqual([expect.stringMatching(/^inside-1\.log:31417: a ticket, as it is$/)]);
    expect(performance.now() - startedAt).toBeLessThan(8000);
  });
});

describe("a record that proves nothing", () => {
  it("has no lines, no secrets, no folder, or lacks a kind of log or secret that a whole run has", () => {
    expect(problemsOf([], ["a secret that is long enough"])).toEqual(["no line was recorded: nothing was proved"]);
    expect(problemsOf(clean, [])).toEqual(["no secret was recorded: nothing was proved"]);
    expect(scanRecord("/nowhere/at/all").problems).toHaveLength(2);
    expect(
      problemsOf(clean, ["a secret that is long enough"], { logs: ["inside", "edge"], kinds: ["a ticket", "a wallet's key"] }),
    ).toEqual([
      'no log of "edge" was recorded: its lines were not searched',
      'no secret of the kind "a wallet\'s key" was recorded: it was not looked for',
    ]);
  });

  it("is refused where a secret is too short to be looked for, and passes where there is nothing to find", () => {
    expect(() => createLogScan([{ kind: "a word", how: "as it is", text: "short" }])).toThrow("a word is too short to be looked for");
    expect(deriveSecretForms("short").every(({ text }) => text.length >= 12)).toBe(true);
    expect(problemsOf(clean, [password, key.toString("hex")])).toEqual([]);
  });
});
