import { defineConfig } from 'vitest/config';

// `npm test` runs the suites that need nothing but Node; those that start real servers or TPMs are
// projects of their own, so that each npm script names exactly what it runs.
const suites = {
  unit: { include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 },
  storage: {
    include: ['test/storage/**/*.test.ts'],
    globalSetup: ['test/storage/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
  swtpm: { include: ['test/swtpm/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
};

export default defineConfig({
  test: {
    projects: Object.entries(suites).map(([name, test]) => ({
      test: { name, pool: 'forks' as const, environment: 'node', ...test },
    })),
  },
});
