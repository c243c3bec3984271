import { defineConfig } from 'vitest/config';

// `npm test` runs them all. `storage` needs a PostgreSQL (it starts one), `swtpm` a software TPM.
// Real servers under a busy machine can be late: CI gives those one more try, a developer sees the first.
const retry = process.env.CI === undefined ? 0 : 1;

const suites = {
  unit: { include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 },
  storage: {
    include: ['test/storage/**/*.test.ts'],
    globalSetup: ['test/storage/support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    retry,
  },
  swtpm: { include: ['test/swtpm/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, retry },
  // Services as processes. What waits for trust to end by time takes a while.
  e2e: {
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/storage/support/global-setup.ts'],
    testTimeout: 150_000,
    hookTimeout: 180_000,
    retry,
  },
  // A machine in QEMU that boots and runs our agent (test/vm).
  vm: {
    include: ['test/vm/**/*.test.ts'],
    globalSetup: ['test/storage/support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 480_000,
  },
  // The real spire-server and spire-agent (scripts/spire-binaries.ts).
  spire: {
    include: ['test/spire/**/*.test.ts'],
    globalSetup: ['test/spire/support/global-setup.ts'],
    testTimeout: 240_000,
    hookTimeout: 180_000,
    retry,
  },
};

export default defineConfig({
  test: {
    projects: Object.entries(suites).map(([name, test]) => ({
      test: { name, pool: 'forks' as const, environment: 'node', ...test },
    })),
  },
});
