import { defineConfig } from 'vitest/config'

/** Real servers and real databases: a process a file, two at a time, and time enough for a slow machine. */
export default defineConfig({
  test: {
    include: ['backend/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    globalSetup: 'backend/test/global.setup.ts',
  },
})
