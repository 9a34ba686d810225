/**
 * What `npm run mutation` changes, and with which tests. The code that decides who gets in: readers of credentials, THE
 * decision, and the operations of the hook. Stryker works on a copy in `.cache/stryker`.
 */
export default {
  packageManager: "pnpm",
  testRunner: "vitest",
  plugins: ["@stryker-mutator/vitest-runner"],
  vitest: { configFile: "scripts/unit-tests.vitest.ts" },
  mutate: [
    "services/core/src/{admission,tunnel-token,ticket,vana-claim,proof,stellar-jwt,tunnel-jwt,jws,eip191,sep53,key-ring}.ts",
    "services/plugin/src/operations/!(*.test).ts",
    "services/plugin/src/{credential,credential-proof,registration-rule,proxy-rules}.ts",
  ],
  ignorePatterns: [".cache", ".keyhole", "/test/e2e", "/test/load", "/test/chaos", "/test/fuzz", "*.log"],
  // TypeScript 7 has no compiler API, with which Stryker would rewrite the file that is found here. Ours needs no rewriting.
  tsconfigFile: "none.json",
  coverageAnalysis: "perTest",
  concurrency: 2,
  incremental: false,
  reporters: ["progress", "clear-text", "html", "json"],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  htmlReporter: { fileName: ".cache/mutation/index.html" },
  jsonReporter: { fileName: ".cache/mutation/mutation.json" },
  tempDirName: ".cache/stryker",
  cleanTempDir: "always",
  allowConsoleColors: false,
  thresholds: { high: 95, low: 85, break: null },
};
