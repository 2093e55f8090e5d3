/**
 * `node --import tsx bench/contract.ts --flights flights-3m.parquet [--python venv/bin/python] [--json]`: 37 rules over 15 columns
 * and 3 million rows, from Parquet to the count of each rule. `flights-3m.parquet` is in the npm package vega-datasets 3.2.1
 * (without it as many rows are made up). With `--python` (a virtual environment with pandera, great_expectations, pyarrow) the
 * same file and rules are checked by both (contract-peers.py), and the counts are held to ours.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkContract, ruleSql } from '../core/dataset/checked-table.ts';
import { compileContract } from '../core/dataset/contract.ts';
import { literal, withDuckDb } from '../core/dataset/duckdb.ts';
import { openRaw } from '../core/dataset/raw-table.ts';

const { values: options } = parseArgs({
  options: {
    flights: { type: 'string' },
    python: { type: 'string' },
    rows: { type: 'string', default: '3000000' },
    json: { type: 'boolean', default: false },
  },
});

interface Figure {
  name: string;
  /** Best of three, and processor time of all threads then; reading the file included. */
  seconds: number;
  cpuSeconds: number;
  /** Rule → rows that break it, those that any does. */
  broken: Record<string, number>;
}

const RANGES: Record<string, [number, number]> = {
  delay: [-60, 600],
  distance: [30, 5000],
  year: [1987, 2008],
  month: [1, 12],
  day: [1, 31],
  hour: [0, 23],
  minute: [0, 59],
  flight: [1, 9999],
  air_time: [10, 700],
  temp: [-40, 120],
};
const TEXTS = { origin: '^[A-Z]{3}$', destination: '^[A-Z]{3}$', carrier: undefined, tailnum: undefined };

/** 15 × required, 10 × minimum and maximum, 2 × pattern. */
function contract(): { required: string[]; properties: Record<string, Record<string, unknown>> } {
  const numbers = Object.entries(RANGES).map(([name, [minimum, maximum]]) => [
    name,
    { type: name === 'temp' ? 'number' : 'integer', minimum, maximum },
  ]);
  const texts = Object.entries(TEXTS).map(([name, pattern]) => [
    name,
    { type: 'string', ...(pattern ? { pattern } : {}) },
  ]);
  const properties = Object.fromEntries([['date', { type: 'string', format: 'date-time' }], ...numbers, ...texts]);
  return { required: Object.keys(properties), properties };
}

/** The five columns of the flights and ten that follow from them or from the row's number. */
async function writeTable(file: string, scratch: string): Promise<void> {
  const flights =
    options.flights === undefined
      ? `(SELECT TIMESTAMP '2001-01-01' + to_minutes((i // 6)::INTEGER) AS date, i * 7919 % 160 - 20 AS delay,
          100 + i * 31 % 2500 AS distance, 'JFK' AS origin, 'LAX' AS destination FROM range(${Number(options.rows)}) r(i))`
      : `read_parquet(${literal(path.resolve(options.flights))})`;
  await withDuckDb({ scratch, threads: 2 }, (db) =>
    db.run(`COPY (SELECT *, year(date) AS year, month(date) AS month, day(date) AS day, hour(date) AS hour, minute(date) AS minute,
        chr((65 + n % 26)::INTEGER) || chr((65 + n % 7)::INTEGER) AS carrier, 1 + n % 9999 AS flight,
        CASE WHEN n % 1000 <> 0 THEN 'N' || n % 5000 END AS tailnum, 20 + distance // 8 AS air_time, 20 + n % 101 * 0.9::DOUBLE AS temp
      FROM (SELECT *, row_number() OVER () AS n FROM ${flights} LIMIT ${Number(options.rows)})) TO ${literal(file)} (FORMAT parquet)`),
  );
}

async function checkOnce(file: string, scratch: string, threads: number): Promise<Figure['broken']> {
  const compiled = compileContract(contract());
  return withDuckDb({ scratch, threads }, async (db) => {
    const place = { source: 'flights', file: 'flights.parquet' };
    const raw = await openRaw(db, file, { format: 'parquet', place, fields: [], folders: '' });
    const { rules } = await checkContract(db, raw, compiled, { zone: 'UTC', text: false, place });
    const counts = rules.map((_, i) => `count(*) FILTER (WHERE ${ruleSql(i)})::DOUBLE AS r${i}`);
    const [row = {}] = await db.rows<Record<string, number>>(`SELECT ${counts.join(', ')} FROM checked WHERE __broken`);
    const broken = rules.map(({ rule }, i) => [rule, row[`r${i}`] ?? 0] as const).filter(([, n]) => n > 0);
    if (compiled.rules.length !== 37) throw new Error(`${compiled.rules.length} rules`);
    return Object.fromEntries(broken);
  });
}

async function refit(file: string, scratch: string, threads: number): Promise<Figure> {
  const name = `Refit, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
  const best: Figure = { name, seconds: Number.POSITIVE_INFINITY, cpuSeconds: 0, broken: {} };
  for (let round = 0; round < 3; round++) {
    const started = performance.now();
    const cpu = process.cpuUsage();
    const broken = await checkOnce(file, scratch, threads);
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    if (seconds < best.seconds) Object.assign(best, { seconds, cpuSeconds: (user + system) / 1e6, broken });
  }
  return best;
}

/** pandera and Great Expectations, each in a process of its own. */
async function peers(python: string, file: string, rules: string): Promise<Figure[]> {
  const script = fileURLToPath(new URL('contract-peers.py', import.meta.url));
  const figures: Figure[] = [];
  for (const peer of ['pandera', 'great_expectations']) {
    const child = spawn(python, [script, peer, file, rules], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`${peer} ended with ${String(code)}`);
    figures.push(JSON.parse(output.trim().split('\n').at(-1) ?? '') as Figure);
  }
  return figures;
}

async function main(): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-bench-contract-'));
  try {
    const [file, rules] = [path.join(root, 'flights.parquet'), path.join(root, 'contract.json')];
    await writeTable(file, root);
    await writeFile(rules, JSON.stringify(contract()));
    // As in an extraction, and with all that this machine has.
    const figures = [await refit(file, root, 1), await refit(file, root, 2)];
    if (options.python) figures.push(...(await peers(options.python, file, rules)));
    for (const { name, broken } of figures) {
      if (JSON.stringify(sorted(broken)) !== JSON.stringify(sorted(figures[0]?.broken ?? {})))
        throw new Error(`${name} counts otherwise: ${JSON.stringify(broken)}`);
    }
    if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else
      for (const { name, seconds, cpuSeconds } of figures)
        console.log(`${name}: ${seconds.toFixed(2)} s (${cpuSeconds.toFixed(2)} s of processor)`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const sorted = (broken: Figure['broken']) => Object.entries(broken).sort(([a], [b]) => (a < b ? -1 : 1));

await main();
