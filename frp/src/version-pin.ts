/**
 * The pin: one version of stock frp and what its bytes must be. `frp/version.json` is the only place that names them;
 * `frp/go.mod` and `frp/go.sum` repeat the module's part for Go, and a test compares the two.
 */
import pin from "../version.json" with { type: "json" };

/** A version of frp and the sums of the forms in which it is published. */
export type VersionPin = {
  readonly version: string;
  /** The `go` directive of frp's own go.mod. */
  readonly minimumGo: string;
  readonly goModule: { readonly path: string; readonly sum: string; readonly goModSum: string };
  /** SHA-256 of the release archives by `<os>_<arch>` in Go's words. */
  readonly releaseArchives: Readonly<Record<string, string>>;
};

/** What this package is written for, and proved on. */
export const versionPin: VersionPin = pin;

/** The version of frps and frpc that runs: no other one does. */
export const frpVersion: string = versionPin.version;
