import { defineConfig } from "vitest/config";

// unit: needs nothing. contract: recorded messages and sockets of our own. e2e: real frps and frpc.
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["frp/src/**/*.test.ts", "services/*/src/**/*.test.ts", "test/*.test.ts"], testTimeout: 20_000 } },
      { test: { name: "contract", include: ["test/contract/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: "e2e",
          include: ["frp/test/**/*.test.ts", "test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
