/** Where a label is to be found by visitors. */
import type { Config } from "./settings.ts";

/** The public address of a label, with `{label}` in its place. `chosenPort`: where the edge listens if its setting leaves that open. */
export function derivePublicUrl(config: Config, chosenPort: number | undefined): string {
  const { port } = config["edge.listen"];
  const scheme = config["edge.certFile"] === undefined ? "http" : "https";
  return config["edge.publicUrl"] ?? `${scheme}://{label}.${config.domain}:${port === 0 ? (chosenPort ?? port) : port}`;
}
