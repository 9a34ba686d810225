/** What a person sees when everything is up. */
import pc from "picocolors";
import type { KeyholeUrls } from "./compose.ts";
import type { Demo } from "./demo/demo.ts";

/** Renders the summary. `demo` undefined: the services only. */
export function renderSummary(state: {
  readonly urls: KeyholeUrls;
  readonly stateDir: string;
  readonly startedMs: number;
  readonly demo: Demo | undefined;
  readonly edgePort: number;
}): string {
  const { urls, demo } = state;
  const row = (name: string, value: string): string => `  ${pc.dim(name.padEnd(9))} ${value}`;
  const lines = ["", `  ${pc.bold("Keyhole")} ${pc.dim(`is up after ${(state.startedMs / 1000).toFixed(1)} s`)}`, ""];
  if (demo !== undefined) {
    lines.push(row("wallet", `${demo.address} ${pc.dim("(a throwaway, made for this demo)")}`));
    lines.push(row("open", pc.bold(pc.green(demo.url))));
    // HTTPS checks the name, so there only a resolver's answer can be replaced.
    const { protocol, host, hostname } = new URL(demo.url);
    const byHand =
      protocol === "https:"
        ? `--resolve '${hostname}:${state.edgePort}:127.0.0.1' ${demo.url}/`
        : `-H 'Host: ${host}' http://127.0.0.1:${state.edgePort}/`;
    lines.push(row("or", `curl ${byHand}`));
    lines.push(
      row("", pc.dim(`${Math.round(demo.signToAnswerMs)} ms from the wallet's signature to the page, through stock frps and frpc`)),
      "",
    );
  }
  lines.push(row("tokens", `${urls.token}/v1/tunnel/token ${pc.dim("(API: /openapi.json)")}`));
  lines.push(row("frpc", urls.control));
  lines.push(row("visitors", urls.edge));
  lines.push(row("metrics", `${urls.metrics}/metrics`));
  lines.push(row("state", state.stateDir), "", `  ${pc.dim("Ctrl-C stops everything.")}`, "");
  return `${lines.join("\n")}\n`;
}
