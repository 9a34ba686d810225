/**
 * The page a browser shows for an answer of ours. One file, no script, nothing from elsewhere: its policy forbids
 * everything but its own style. What the person needs: what is wrong, what to do, and what to quote.
 */
import type { Problem } from "@keyhole/core";

/** Goes with every page of ours. */
export const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const style = `:root{color-scheme:light dark;--ink:#1c1e21;--soft:#5b616b;--line:#d9dde3;--paper:#fbfbfc;--mark:#7a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e9ebee;--soft:#a2a9b4;--line:#33383f;--paper:#15171a;--mark:#e3b341}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);
font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}main{max-width:34rem;width:100%}
.status{margin:0;color:var(--mark);font-weight:600;letter-spacing:.02em}h1{margin:.25rem 0 1rem;font-size:1.6rem;line-height:1.25}
p{margin:.5rem 0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:2rem 0 0;padding-top:1rem;border-top:1px solid var(--line);
color:var(--soft);font-size:.85rem}dt{font-weight:600}dd{margin:0;font-family:ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}`;

/** Renders a problem as a whole HTML document. Every value is escaped. */
export function renderPage(problem: Problem): string {
  const rows = [["Code", problem.code]];
  if (typeof problem["lastSeen"] === "string")
    rows.push(["Last seen", `${problem["lastSeen"].slice(0, 16).replace("T", " ")} UTC, to the hour`]);
  rows.push(["Request", problem.requestId]);
  const list = rows.map(([term, value]) => `<dt>${term}</dt><dd>${escapeHtml(value ?? "")}</dd>`).join("");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(problem.title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<p class="status">${problem.status} ${escapeHtml(problem.title)}</p>
<h1>${escapeHtml(problem.detail)}</h1>
<p>${escapeHtml(problem.remedy)}</p>
<dl>${list}</dl>
</main>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => entities[letter] ?? "");
}
