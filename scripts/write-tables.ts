/**
 * `npm run tables`: writes the generated tables of the documents, and the API description of the token service, anew. A
 * table stands between `<!-- table:NAME -->` and `<!-- /table -->`. `--check` writes nothing and fails when something
 * differs from the code; a test does the same.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configurationRows, metricRows } from "@keyhole/cli";
import { events, type RefusalVoice, refusalCodes, refusals } from "@keyhole/core";
import { renderOpenApi } from "@keyhole/token";
import { credentialTries } from "../test/support/credential-tries.ts";

/** A generated table: where it stands and what it should say. */
export type Table = { readonly file: string; readonly name: string; readonly markdown: string };

const root = new URL("../", import.meta.url);
const apiFile = "services/token/openapi.json";
const voices: Readonly<Record<RefusalVoice, string>> = {
  token: "token service",
  hook: "hook (frpc prints it)",
  edge: "edge",
  admin: "admin API",
};

/** Every generated table, from the code as it is now. */
export function renderTables(): readonly Table[] {
  return [
    { file: "README.md", name: "configuration", markdown: renderConfiguration() },
    { file: "README.md", name: "refusals", markdown: renderRefusals() },
    { file: "services/cli/README.md", name: "metrics", markdown: renderMetrics() },
    {
      file: "services/cli/README.md",
      name: "events",
      markdown: renderTable(
        ["event", "tells"],
        Object.entries(events).map(([name, meaning]) => [code(name), meaning]),
      ),
    },
    { file: "services/plugin/README.md", name: "credential-tries", markdown: renderCredentialTries() },
    { file: "scripts/README.md", name: "scripts", markdown: renderScripts() },
  ];
}

/** What stands in a document between the marks of a table; undefined when the marks are not there. */
export function readTable(document: string, name: string): string | undefined {
  return marks(name).exec(document)?.[2]?.trim();
}

/** The document with the table put between its marks. Throws when the marks are not there. */
export function placeTable(document: string, table: Table): string {
  if (!marks(table.name).test(document)) {
    throw new Error(`there is no <!-- table:${table.name} --> … <!-- /table -->. Put both marks where the table belongs.`);
  }
  return document.replace(
    marks(table.name),
    (_all, open: string, _old: string, close: string) => `${open}\n\n${table.markdown}\n\n${close}`,
  );
}

const marks = (name: string): RegExp => new RegExp(`(<!-- table:${name} -->)([\\s\\S]*?)(<!-- /table -->)`);

function renderConfiguration(): string {
  const rows = configurationRows().map((row) => [code(row.key), code(row.env), row.default === "" ? "" : code(row.default), row.meaning]);
  return renderTable(["key", "environment", "default", "meaning"], rows);
}

function renderMetrics(): string {
  const rows = metricRows().map(({ name, type, labels, help }) => [code(name), type, labels, help]);
  return renderTable(["metric", "type", "labels", "what it says"], rows);
}

function renderRefusals(): string {
  const rows = refusalCodes.map((name) => {
    const entry = refusals[name];
    return [code(name), String(entry.status), entry.voices.map((voice) => voices[voice]).join(", "), entry.sentence, entry.remedy];
  });
  return renderTable(["code", "status", "who says it", "what is wrong", "what to do"], rows);
}

/** Each way in which a credential can be wrong, and what its client is told; a test tries them all. */
function renderCredentialTries(): string {
  const rows = credentialTries.map(({ credential, what, code: name }) => {
    const { sentence, remedy } = refusals[name];
    return [credential === "any" ? "" : credential, what, code(name), `${sentence} ${remedy}`];
  });
  return renderTable(["credential", "what is wrong with it", "code", "what frpc prints"], rows);
}

/** The files of this folder, each with the npm script that runs it and the first sentence of its heading. */
function renderScripts(): string {
  const commands = Object.entries((JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts);
  const files = readdirSync(new URL("scripts/", root)).filter((name) => name !== "README.md");
  const rows = files.sort().map((name) => {
    // The last of our files in a command is what it runs: with-node.mjs only brings what that one needs.
    const runs = commands.filter(([, command]) => command.match(/scripts\/[\w.-]+/g)?.at(-1) === `scripts/${name}`);
    return [
      code(name),
      runs.map(([script]) => code(script === "start" || script === "test" ? `npm ${script}` : `npm run ${script}`)).join(", "),
      firstSentence(name),
    ];
  });
  return renderTable(["file", "run as", "what it does"], rows);
}

/** The heading comment's text up to its first full stop. */
function firstSentence(name: string): string {
  const heading = /^(?:#!.*\n)?(?:\/\*\*([\s\S]*?)\*\/|((?:#.*\n)+))/.exec(read(`scripts/${name}`));
  const words = (heading?.[1] ?? heading?.[2] ?? "")
    .replace(/^\s*[*#]+ ?/gm, "")
    .replace(/\s+/g, " ")
    .trim();
  const sentence = /^(?:`npm [^`]*`: )?(.*?\.)(?=\s|$)/.exec(words)?.[1];
  if (sentence === undefined) throw new Error(`scripts/${name} has no heading comment with a full sentence. Say there what it does.`);
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** A table as the formatter leaves it: every cell padded to the widest of its column. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => [...(row[column] ?? "")].length)));
  const line = (row: readonly string[]): string => `| ${widths.map((width, column) => pad(row[column] ?? "", width)).join(" | ")} |`;
  const [first = [], ...others] = cells;
  return [line(first), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...others.map(line)].join("\n");
}

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - [...text].length));
const code = (text: string): string => `\`${text}\``;
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

/** Deals with every table, also after one that could not be dealt with. Returns the exit code. */
function main(isCheck: boolean): number {
  let problems = 0;
  for (const table of renderTables()) {
    try {
      const document = read(table.file);
      const wanted = placeTable(document, table);
      if (readTable(document, table.name) === table.markdown) continue;
      if (isCheck) throw new Error("it differs from the code. Run npm run tables, read the difference and commit it.");
      writeFileSync(new URL(table.file, root), wanted);
      console.log(`${table.file}: table "${table.name}" written`);
    } catch (error) {
      problems += 1;
      console.error(`${table.file}: table "${table.name}": ${error instanceof Error ? error.message : error}`);
    }
  }
  if (read(apiFile) !== renderOpenApi()) {
    if (isCheck) console.error(`${apiFile} differs from the code. Run npm run tables, read the difference and commit it.`);
    else writeFileSync(new URL(apiFile, root), renderOpenApi());
    problems += isCheck ? 1 : 0;
  }
  return problems === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.includes("--check"));
