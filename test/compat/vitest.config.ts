import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Apart from the other tests: it takes Go and a module proxy to have the versions of frpc that it runs.
export default defineConfig({
  test: {
    name: "compat",
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/compat/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 900_000,
    fileParallelism: false,
  },
});
