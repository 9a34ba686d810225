/** The demo's local app: what a desktop app would be. One page that shows how the request reached it. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A running demo app on loopback. */
export type DemoApp = AsyncDisposable & { readonly port: number };

/** What the page holds, so that the check from outside can tell it is this page. */
export const demoGreeting = "This page comes from your own machine";

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** Starts the app on a free port. */
export async function startDemoApp(address: string): Promise<DemoApp> {
  const server = createServer((request, response) => {
    const shown = ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"]
      .map((name) => `<tr><th>${name}</th><td>${escapeHtml(String(request.headers[name] ?? ""))}</td></tr>`)
      .join("");
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" });
    response.end(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Keyhole</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:10vh auto;padding:0 1rem;color:#1c1c28;background:#fbfaf7}h1{font-size:1.6rem;line-height:1.25}code,td{font-family:ui-monospace,monospace;font-size:.875rem;overflow-wrap:anywhere}table{border-spacing:0}th{text-align:left;vertical-align:baseline;white-space:nowrap;padding-right:1.5rem;font-weight:500;color:#666}@media(max-width:40rem){th,td{display:block}td{padding-bottom:.5rem}}@media(prefers-color-scheme:dark){body{color:#e8e6e3;background:#16161d}th{color:#999}}</style>
<h1>${demoGreeting}</h1><p>It is served at the address of the wallet <code>${escapeHtml(address)}</code>, through stock frp, to whoever opens it. No port of this app is open to the network.</p>
<p>What this app was told about your request:</p><table>${shown}</table></html>\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
