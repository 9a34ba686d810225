/** The unit tests of the packages that `npm run mutation` changes, alone: what Stryker runs again and again. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: { include: ["services/{core,plugin}/src/**/*.test.ts"], testTimeout: 20_000 },
});
