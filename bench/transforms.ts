/**
 * Fitting and applying a chain of transforms, beside scikit-learn (bench/transforms-peers.py, in a virtual environment of its
 * own). `node --import tsx bench/transforms.ts PYTHON [ROWS]`, PYTHON having scikit-learn, pandas and pyarrow.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { literal, withDuckDb } from '../core/dataset/duckdb.ts';
import { readColumns } from '../core/features/read-table.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';
import { cap, impute, log, oneHot, polynomial, scale, targetEncode } from '../core/spec/define-transforms.ts';
import { fitChain } from '../core/transforms/fit-chain.ts';
import { workingTable } from '../core/transforms/working-table.ts';

const [python, rowsText = '1000000'] = process.argv.slice(2);
if (!python) throw new Error('bench/transforms.ts PYTHON [ROWS]');
const rows = Number(rowsText);
const NUMBERS = ['a', 'b', 'c', 'd', 'e', 'f'];
const CATEGORIES = ['few', 'some', 'many'];
const LEVELS = { few: 8, some: 100, many: 5000 };
const RUNS = 3;

const TRANSFORMS = [
  impute(NUMBERS, { with: 'median' }),
  cap(NUMBERS, { quantiles: [0.01, 0.99] }),
  log(['a', 'b'], { signed: true }),
  scale(NUMBERS, { by: 'standard' }),
  polynomial(['a', 'b', 'c', 'd']),
  oneHot(['few', 'some'], { minShare: 0.005, max: 100 }),
  targetEncode('many', { by: 'key', folds: 5 }),
];

const folder = await mkdtemp(path.join(tmpdir(), 'refit-bench-'));
try {
  const file = path.join(folder, 'rows.parquet');
  const draw = (stream: number) => `(hash(i * 31 + ${stream}) % 1000003) / 1000003.0`;
  const numbers = NUMBERS.map(
    (name, s) => `CASE WHEN ${draw(s)} > 0.05 THEN ${draw(s + 20)} * 100 - 20 END::FLOAT AS ${name}`,
  );
  const texts = CATEGORIES.map(
    (name, s) => `'v' || floor(${draw(s + 40)} * ${LEVELS[name as keyof typeof LEVELS]})::INT AS ${name}`,
  );
  const columns = [...numbers, ...texts, `${draw(60)} < 0.3 AS __label`, "'train' AS __split", 'i::VARCHAR AS key'];
  await withDuckDb({ scratch: folder }, (db) =>
    db.run(`COPY (SELECT ${columns.join(', ')} FROM range(${rows}) t(i)) TO ${literal(file)} (FORMAT parquet)`),
  );
  const features = [
    ...NUMBERS.map((name): FeatureInfo => ({ name, kind: 'number', view: 'v' })),
    ...[...CATEGORIES, 'key'].map((name): FeatureInfo => ({ name, kind: 'category', view: 'v' })),
  ];
  const read = await withDuckDb({ scratch: folder }, (db) =>
    readColumns(db, `(SELECT * FROM read_parquet(${literal(file)}))`, features),
  );
  const peers = fileURLToPath(new URL('transforms-peers.py', import.meta.url));
  for (let run = 0; run < RUNS; run++) {
    const table = workingTable({ ...read, features: features.slice(0, -1) }, rows, read.categories.key ?? []);
    const started = performance.now();
    await fitChain(TRANSFORMS, table);
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(`refit         ${seconds.toFixed(2)} s, ${table.columns.length} columns\n`);
    process.stdout.write(execFileSync(python, [peers, file]).toString());
  }
  process.stdout.write(`peak memory of this process ${Math.round(process.resourceUsage().maxRSS / 1024)} MB\n`);
} finally {
  await rm(folder, { recursive: true });
}
