import { defineConfig } from 'vitest/config';

const MINUTE = 60_000;

/** One ring of tests. Rings run one after another; the later ones start servers and are given the machine to themselves. */
function ring(name: string, order: number, timeout: number, files: { fileParallelism: boolean; maxWorkers: number }) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: timeout,
      hookTimeout: timeout,
      pool: 'forks' as const,
      sequence: { groupOrder: order },
      ...files,
    },
  };
}

const together = { fileParallelism: true, maxWorkers: 2 };
const alone = { fileParallelism: false, maxWorkers: 1 };

export default defineConfig({
  test: {
    reporters: ['default', './infra/closing-line.ts'],
    projects: [
      ring('unit', 1, MINUTE / 3, together),
      ring('replay', 2, 2 * MINUTE, alone),
      ring('integration', 3, 5 * MINUTE, alone),
      ring('e2e', 4, 10 * MINUTE, alone),
    ],
  },
});
