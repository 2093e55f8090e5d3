import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Project } from './project.ts';

const HOUR_MS = 3_600_000;
const ROW_EVERY_MS = 4 * HOUR_MS;

export interface TinyPipeline {
  /** Rows are spread over the year before this time, one every four hours. Default: 2021-01-01. */
  dataUntil?: Date;
  rows?: number;
  /** Default: 'now'. */
  asOf?: 'latest' | 'now';
  /** Properties of `definePipeline` beside the tiny pipeline's own, e.g. `schedule` or `promote`. */
  extra?: Record<string, unknown>;
}

/**
 * Writes a pipeline that runs through all six stages in about two seconds: one CSV source of 2,000 rows, three features, a
 * logistic regression. Its label follows from the features, so every gate passes.
 */
export async function addTinyPipeline(project: Project, name: string, options: TinyPipeline = {}): Promise<void> {
  const { dataUntil = new Date('2021-01-01T00:00:00Z'), rows = 2_000, asOf = 'now', extra = {} } = options;
  const folder = project.path('pipelines', name);
  await mkdir(folder, { recursive: true });
  await mkdir(project.path('data', name), { recursive: true });
  await writeFile(project.path('data', name, 'orders.csv'), orders(dataUntil, rows));
  await writeFile(path.join(folder, 'orders.schema.json'), JSON.stringify(CONTRACT, null, 2));
  await writeFile(path.join(folder, 'pipeline.ts'), declaration(name, asOf, extra));
}

const CONTRACT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['order_id', 'ordered_at', 'amount', 'items', 'country', 'returned'],
  properties: {
    order_id: { type: 'string' },
    ordered_at: { type: 'string', format: 'date-time' },
    amount: { type: 'number', minimum: 0 },
    items: { type: 'integer', minimum: 1 },
    country: { type: 'string' },
    returned: { type: 'integer', minimum: 0, maximum: 1 },
  },
};

function declaration(name: string, asOf: string, extra: Record<string, unknown>): string {
  return `import { atLeast, csv, definePipeline, fields, logistic, parity } from 'refit/spec';

export default definePipeline({
  name: ${JSON.stringify(name)},
  question: 'Will this order be sent back?',
  asOf: ${JSON.stringify(asOf)},
  sources: {
    orders: csv('data/${name}/orders.csv', {
      contract: 'orders.schema.json',
      eventTime: 'ordered_at',
      knownAt: { '*': 'ordered_at', returned: 'ordered_at + INTERVAL 1 HOUR' },
    }),
  },
  spine: {
    from: 'orders',
    key: ['order_id'],
    predictAt: 'ordered_at',
    label: 'returned = 1',
    labelKnownAt: 'ordered_at + INTERVAL 1 HOUR',
  },
  features: [fields('orders', ['amount', 'items', 'country'])],
  split: { test: '30d', validate: '30d', train: { min: '30d', max: '300d' } },
  model: logistic(),
  gates: [atLeast('auc', 0.6), parity(1e-5)],
  ...${JSON.stringify(extra, null, 2)},
});
`;
}

/** Half of the dear orders from abroad come back, few of the others. The same rows whenever it is asked. */
function orders(until: Date, rows: number): string {
  const random = generator(7);
  const lines = ['order_id,ordered_at,amount,items,country,returned'];
  for (let row = 0; row < rows; row++) {
    const at = new Date(until.getTime() - (rows - row) * ROW_EVERY_MS);
    const amount = Math.round(random() * 20_000) / 100;
    const items = 1 + Math.floor(random() * 5);
    const country = ['at', 'de', 'fr', 'pl'][Math.floor(random() * 4)] ?? 'at';
    const risk = 0.1 + (amount > 100 ? 0.35 : 0) + (country === 'pl' ? 0.25 : 0);
    const returned = random() < risk ? 1 : 0;
    lines.push(`o-${row},${at.toISOString().slice(0, 19)}Z,${amount},${items},${country},${returned}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Numbers in [0, 1): the minimal standard generator of Park and Miller. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
