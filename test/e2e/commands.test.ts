import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { placesOf } from '../../core/compose/refit.ts';
import * as shapes from '../../core/spec/cli.ts';
import { RunHandle, RunResult } from '../../core/spec/run.ts';
import { copyMonth, createProject, type Outcome, type Project, REPOSITORY, refit } from '../support/project.ts';

let project: Project;
let stack: Stack;
beforeAll(async () => {
  project = await createProject({ months: 0 });
  for (let month = 7; month <= 11; month++) await copyMonth(project.root, month);
  await shrink(project.path('pipelines/flight-delays/pipeline.ts'));
  await writeSpines();
  // One server for all commands, as with a running `refit dev`.
  stack = await openStack(placesOf(project.root, {}));
});
afterAll(async () => {
  await stack?.close();
  await project?.remove();
});

/** The same pipeline on two months of training, with gates that a small model passes. */
async function shrink(file: string): Promise<void> {
  const source = await readFile(file, 'utf8');
  const small = source
    .replace(/split: \{.*\},\n/, "split: { test: '1mo', validate: '1mo', train: { min: '1mo', max: '1mo' } },\n")
    .replace('rounds: 300', 'rounds: 40')
    .replace('trials: 4', 'trials: 0')
    .replace(/gates: \[[\s\S]*?\n {2}\],/, "gates: [atLeast('auc', 0.5), parity(1e-5)],");
  expect(small).not.toBe(source);
  await writeFile(file, small);
}

async function sql(text: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(text)).getRowObjectsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** A few hundred flights of October, by the keys of the views, in no order. */
async function writeSpines(): Promise<void> {
  const october = project.path('data/nycflights13/flights/2013-10.parquet');
  const asked = `SELECT row_number() OVER () AS n, origin, dest, carrier, tailnum, time_hour::TIMESTAMP AS predict_at
    FROM read_parquet('${october}') ORDER BY hash(origin, dest, time_hour, flight) LIMIT 400`;
  await sql(`COPY (${asked}) TO '${project.path('asked.parquet')}' (FORMAT parquet)`);
  await sql(`COPY (${asked}) TO '${project.path('asked.csv')}' (FORMAT csv, HEADER)`);
}

const ajv = new Ajv2020({ strict: false });

/** The one JSON value of a command, which has the shape that is promised for it. */
async function json<T>(schema: TSchema, args: string[], status = 0): Promise<T> {
  const outcome = await refit(project, [...args, '--json']);
  expect(outcome.code, outcome.stdout + outcome.stderr).toBe(status);
  const value = JSON.parse(outcome.stdout) as T;
  const check = ajv.compile(schema);
  expect(check(value), JSON.stringify(check.errors)).toBe(true);
  return value;
}

const failing = (args: string[], status: number) => json<shapes.CliError>(shapes.CliError, args, status);

async function waitingVersion(): Promise<number> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; ) {
    const { runs } = await json<shapes.RunList>(shapes.RunList, [
      'runs',
      '--verdict',
      'waiting',
      '--status',
      'running',
    ]);
    if (runs[0]?.version) return runs[0].version;
  }
  throw new Error('No run waits for a person.');
}

/** The commands of the page, as a shell would split them. */
async function documented(): Promise<string[][]> {
  const page = await readFile(path.join(REPOSITORY, 'docs/cli.md'), 'utf8');
  const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => block.trim().split('\n'));
  return lines.map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? ''));
}

test('every command of the page does what it says there', async () => {
  const commands = await documented();
  expect(commands.length).toBeGreaterThan(25);
  for (const [program, ...args] of commands) {
    expect(program).toBe('refit');
    const decision = args[0] === 'approve' || args[0] === 'reject';
    const actual = decision ? [args[0] as string, `flight-delays@${await waitingVersion()}`, ...args.slice(2)] : args;
    const { code, stdout, stderr } = await refit(project, actual);
    // What the doctor finds is another test's; that it tells is this one's.
    if (args[0] !== 'doctor') expect(code, `refit ${actual.join(' ')}\n${stdout}${stderr}`).toBe(0);
    expect(`${stdout}${stderr}`.trim(), actual.join(' ')).not.toBe('');
  }
});

describe('after these runs', () => {
  test('runs: newest first, by what is asked for, from any folder of the project', async () => {
    const { runs } = await json<shapes.RunList>(shapes.RunList, ['runs']);
    expect(runs.length).toBeGreaterThanOrEqual(6);
    const started = runs.map(({ startedAt }) => startedAt);
    expect(started).toEqual(started.toSorted().reverse());
    const rejected = await json<shapes.RunList>(shapes.RunList, ['runs', '--verdict', 'rejected']);
    expect(rejected.runs.map(({ verdict, status }) => [verdict, status])).toEqual([['rejected', 'completed']]);
    const inside = { ...project, root: project.path('pipelines/flight-delays') };
    const outcome = await refit(inside, ['models'], { REFIT_ROOT: '' });
    expect(outcome.stdout).toContain('flight-delays');
  });

  test('a run is known by its ids and its pipeline; another name is told apart with the nearest', async () => {
    const { runs } = await json<shapes.RunList>(shapes.RunList, ['runs', '--verdict', 'promoted']);
    const [first] = runs.toReversed();
    for (const name of [first?.workflowId, first?.runId, `${first?.workflowId}@${first?.runId}`]) {
      const status = await json<shapes.RunStatus>(shapes.RunStatus, ['status', String(name)]);
      expect(status).toMatchObject({ pipeline: 'flight-delays', status: 'completed', asOf: '2013-10-01T00:00:00Z' });
      expect(status.stages).toHaveLength(6);
    }
    const { error } = await failing(['status', 'train/flight-delays/2013-10-02'], 2);
    expect(error).toMatchObject({ code: 'REFIT_RUN_UNKNOWN' });
    expect(error.message).toContain('did you mean "train/flight-delays/2013-10-01"');
  });

  test('two runs are compared: date, rows, metrics, model', async () => {
    const compare = ['runs', '--compare', 'train/flight-delays/2013-10-01', 'train/flight-delays/2013-12-01'];
    const found = await json<shapes.RunComparison>(shapes.RunComparison, compare);
    expect(found.input).toEqual([{ path: 'asOf', a: '2013-10-01T00:00:00Z', b: '2013-12-01T00:00:00Z' }]);
    expect(found.spec).toEqual([]);
    const auc = found.metrics.find(({ split, metric }) => split === 'test' && metric === 'auc');
    expect(auc?.difference).toBeCloseTo((auc?.b ?? 0) - (auc?.a ?? 0), 12);
    expect(found.gates.map(({ a, b }) => [a?.passed, b?.passed])).toContainEqual([true, true]);
  });

  test('the person stands in the log, which is whole; an entry that was altered is named (exit 1)', async () => {
    const { entries, intact } = await json<shapes.AuditReport>(shapes.AuditReport, ['audit', 'flight-delays']);
    expect(intact).toBe(true);
    const people = entries.filter(({ by }) => by !== 'rule').map(({ action, by, reason }) => [action, by, reason]);
    expect(people).toEqual([
      ['promote', 'ada', 'the slices look fine'],
      ['reject', 'bob', 'no gain over the champion'],
      ['rollback', 'ada', 'complaints from Newark'],
      ['promote', 'ada', 'it was the feed, not the model'],
      ['pause', 'ada', 'the feed is being repaired'],
      ['resume', 'ada', 'the feed is whole again'],
    ]);
    const file = project.path('.refit/store/audit/flight-delays/00000002.json');
    const entry = await readFile(file, 'utf8');
    await writeFile(file, entry.replace(/"by":"[^"]*"/, '"by":"eve"'));
    const broken = await json<shapes.AuditReport>(shapes.AuditReport, ['audit', 'flight-delays'], 1);
    expect(broken).toMatchObject({ intact: false, problems: [{ sequence: 2, problem: 'The entry was altered.' }] });
    await writeFile(file, entry);
  });

  test('models, one version, and its lineage back to the bytes of the raw files', async () => {
    const { models } = await json<shapes.ModelList>(shapes.ModelList, ['models']);
    const model = await json<shapes.ModelDescription>(shapes.ModelDescription, ['model', 'flight-delays']);
    expect(models[0]).toMatchObject({
      model: 'flight-delays',
      champion: { version: model.version, sha256: model.sha256 },
    });
    expect(model.state).toBe('champion');
    expect(model.files).toContain('model.onnx');
    expect(model.versions.at(-1)).toMatchObject({ state: 'rejected' });
    const tree = await json<shapes.LineageTree>(shapes.LineageTree, ['lineage', `flight-delays@${model.version}`]);
    const september = tree.sources
      .flatMap(({ partitions }) => partitions)
      .find(({ name }) => name.endsWith('2013-09.parquet'));
    const raw = createHash('sha256')
      .update(await readFile(project.path(september?.name ?? '')))
      .digest('hex');
    expect(september?.raw).toEqual([raw]);
    const from = ['lineage', '--from', september?.name ?? ''];
    const impact = await json<shapes.LineageImpact>(shapes.LineageImpact, from);
    expect(impact.retrain).toEqual(['flight-delays']);
    expect(impact.models).toContainEqual(expect.objectContaining({ version: model.version, state: 'champion' }));
    expect((await failing(['lineage', '--from', '2013-19.parquet'], 2)).error.message).toMatch(/did you mean "2013-/);
    await failing(['lineage'], 2);
    expect((await failing(['model', 'flight-delay'], 2)).error.message).toContain('did you mean "flight-delays"');
    expect((await failing(['lineage', 'flight-delays@99'], 2)).error.code).toBe('REFIT_MODEL_UNKNOWN');
  });

  test('a version is verified byte by byte; one that was altered is told, and what is amiss (exit 1)', async () => {
    const verify = (status: number) =>
      json<shapes.VersionCheck>(shapes.VersionCheck, ['verify', 'flight-delays@1'], status);
    expect(await verify(0)).toMatchObject({ version: 1, intact: true });
    const file = project.path('.refit/store/models/flight-delays/1/model.onnx');
    const bytes = await readFile(file);
    await writeFile(file, Buffer.concat([bytes, Buffer.from('!')]));
    const { checks } = await verify(1);
    expect(checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(['model.onnx']);
    await writeFile(file, bytes);
    await failing(['verify', 'flight-delays'], 2);
  });

  test('a version that does not serve is not rolled back; one that was rejected serves by an explicit word only', async () => {
    const why = ['--by', 'ada', '--reason', 'why not'];
    expect((await failing(['rollback', 'flight-delays@1', ...why], 1)).error.code).toBe('REFIT_NOT_SERVING');
    const { models } = await json<shapes.ModelList>(shapes.ModelList, ['models']);
    const { versions } = await json<shapes.ModelDescription>(shapes.ModelDescription, ['model', 'flight-delays']);
    const rejected = `flight-delays@${versions.find(({ state }) => state === 'rejected')?.version}`;
    expect((await failing(['rollout', rejected, ...why], 1)).error.code).toBe('REFIT_VERSION_BARRED');
    await failing(['rollout', 'flight-delays@1', '--reason', ' '], 2);
    const again = await json<shapes.ModelList>(shapes.ModelList, ['models']);
    expect(again.models[0]?.champion).toEqual(models[0]?.champion);
  });

  test('a decision that nobody waits for is refused, one without a name or reason too', async () => {
    const said = ['--by', 'ada', '--reason', 'why not'];
    const { error } = await failing(['approve', 'flight-delays@1', ...said], 1);
    expect(error).toMatchObject({ code: 'REFIT_NOT_WAITING' });
    expect(error.message).toMatch(/it was promoted before/);
    await failing(['approve', 'flight-delays@1', '--by', 'ada'], 2);
    await failing(['reject', 'flight-delays@1', '--by', ' ', '--reason', 'x'], 2);
    await failing(['reject', 'flight-delays@77', ...said], 2);
  });

  test('a run without waiting prints where it is; cancelled, it has ended', async () => {
    const run = [
      'run',
      'flight-delays',
      '--as-of',
      '2013-12-01',
      '--set',
      'model.rounds=100000',
      '--set',
      'model.earlyStopping=0',
    ];
    const handle = await json<RunHandle>(RunHandle, [...run, '--no-wait']);
    const cancelled = await json<shapes.Cancellation>(shapes.Cancellation, ['cancel', 'flight-delays', '--wait']);
    expect(cancelled).toEqual({
      workflowId: handle.workflowId,
      runId: handle.runId,
      requested: true,
      status: 'cancelled',
    });
    const again = await json<shapes.Cancellation>(shapes.Cancellation, ['cancel', handle.workflowId]);
    expect(again.requested).toBe(false);
    const { failure } = await json<shapes.RunStatus>(shapes.RunStatus, ['status', handle.workflowId]);
    expect(failure?.code).toBe('REFIT_CANCELLED');
    expect((await failing(['cancel', 'flight-delays'], 2)).error.message).toMatch(
      /No run of flight-delays is under way/,
    );
  });

  test('the status of a run that failed tells why and what to do', async () => {
    const { error } = await failing(['run', 'flight-delays', '--as-of', '2013-08-01'], 1);
    const status = await json<shapes.RunStatus>(shapes.RunStatus, ['status', 'train/flight-delays/2013-08-01']);
    expect(status).toMatchObject({
      status: 'failed',
      failure: { code: error.code, message: error.message, cure: error.cure },
    });
    expect(
      (await failing(['runs', '--compare', 'train/flight-delays/2013-08-01', 'flight-delays'], 2)).error.message,
    ).toMatch(/is failed: only runs with a result can be compared/);
  });

  test('a run with --json prints its result', async () => {
    const result = await json<RunResult>(RunResult, [
      'run',
      'flight-delays',
      '--as-of',
      '2013-12-01',
      '--key',
      'nightly-2013-12-01',
    ]);
    expect(result).toMatchObject({ asOf: '2013-12-01T00:00:00Z', pipeline: 'flight-delays' });
  });
});

describe('features', () => {
  test('join: the rows of the spine in their order, each feature a column, as training had them', async () => {
    const [set] = await readdir(project.path('.refit/store/steps/build-training-set'));
    const record = JSON.parse(
      await readFile(project.path('.refit/store/steps/build-training-set', set ?? ''), 'utf8'),
    ) as {
      output: { data: { uri: string } };
    };
    const trained = project.path('.refit/store', record.output.data.uri);
    const spine = project.path('again.parquet');
    await sql(
      `COPY (SELECT flight_id, predict_at FROM read_parquet('${trained}') ORDER BY hash(flight_id)) TO '${spine}' (FORMAT parquet)`,
    );
    const args = [
      'features',
      'join',
      '--pipeline',
      'flight-delays',
      '--spine',
      spine,
      '--out',
      project.path('joined.parquet'),
    ];
    const { features, rows, empty } = await json<shapes.FeatureJoin>(shapes.FeatureJoin, args);
    expect(empty).toEqual([]);
    const names = features.map(({ name }) => `"${name}"`).join(', ');
    const [difference] = await sql(`SELECT count(*)::INT AS n FROM (
      (SELECT flight_id, predict_at, ${names} FROM read_parquet('${trained}')) EXCEPT ALL
      (SELECT flight_id, predict_at, ${names} FROM read_parquet('${project.path('joined.parquet')}')))`);
    expect(rows).toBeGreaterThan(10_000);
    expect(difference).toEqual({ n: 0 });
    const [ordered] = await sql(`SELECT bool_and(a.flight_id = b.flight_id) AS same FROM read_parquet('${spine}') a
      POSITIONAL JOIN read_parquet('${project.path('joined.parquet')}') b`);
    expect(ordered).toEqual({ same: true });
  });

  test('join by the keys of the views: what the spine brings is kept, what cannot be made is empty', async () => {
    const rows = await sql(`SELECT * FROM read_parquet('${project.path('features.parquet')}') LIMIT 5`);
    expect(Object.keys(rows[0] ?? {}).slice(0, 7)).toEqual([
      'n',
      'origin',
      'dest',
      'carrier',
      'tailnum',
      'predict_at',
      'distance',
    ]);
    expect(rows.every(({ wind_speed, distance }) => wind_speed !== null && distance === null)).toBe(true);
    expect((await readFile(project.path('features.csv'), 'utf8')).split('\n')).toHaveLength(402);
  });

  test('a spine that is not there, lacks its time or its keys: exit 2, and nothing is written', async () => {
    const join = (spine: string) =>
      failing(
        ['features', 'join', '--pipeline', 'flight-delays', '--spine', spine, '--out', project.path('no.parquet')],
        2,
      );
    expect((await join('nowhere.parquet')).error.message).toBe('There is no spine nowhere.parquet.');
    const bad = project.path('bad.parquet');
    await sql(`COPY (SELECT 'JFK' AS origin) TO '${bad}' (FORMAT parquet)`);
    expect((await join(bad)).error.message).toMatch(/no column "predict_at"/);
    await sql(`COPY (SELECT 'JFK' AS origin, TIMESTAMP '2013-10-01' AS predict_at) TO '${bad}' (FORMAT parquet)`);
    expect((await join(bad)).error.message).toMatch(
      /no column "tailnum" \(and dest, carrier\), by which planes_by_tailnum/,
    );
    expect((await readdir(project.root)).filter((name) => name.startsWith('no.parquet'))).toEqual([]);
  });

  test('online values: served, expired, unknown; as materialised', async () => {
    const of = (...args: string[]) => ['features', 'get', '--pipeline', 'flight-delays', ...args];
    const later = ['features', 'materialize', '--pipeline', 'flight-delays', '--as-of', '2013-12-01T12:00:00Z'];
    expect(await json<shapes.Materialization>(shapes.Materialization, later)).toMatchObject({
      asOf: '2013-12-01T12:00:00Z',
    });
    const get = (...args: string[]) =>
      json<shapes.FeatureValues>(shapes.FeatureValues, of('--view', 'weather_by_origin', ...args));
    const served = await get('--key', 'origin=JFK');
    expect(served).toMatchObject({ found: true, asOf: '2013-12-01T12:00:00Z', at: '2013-12-01T12:00:00Z' });
    expect(served.features[0]).toMatchObject({ name: 'wind_speed', ttl: '6h', expired: false, ageSeconds: 0 });
    const [old] = (await get('--key', 'origin=JFK', '--at', '2013-12-01T19:00:00Z')).features;
    expect(old).toMatchObject({ value: null, stored: served.features[0]?.value, expired: true, ageSeconds: 7 * 3600 });
    expect(await get('--key', 'origin=XXX')).toMatchObject({ found: false });
    expect((await failing(of('--view', 'weather', '--key', 'origin=JFK'), 2)).error.message).toMatch(
      /no view "weather"/,
    );
    expect((await failing(of('--view', 'weather_by_origin', '--key', 'carrier=AA'), 2)).error.message).toMatch(
      /asked for by origin/,
    );
  });
});

test('help teaches by example, on standard output', async () => {
  const help = async (...args: string[]): Promise<Outcome> => refit(project, [...args, '--help']);
  const page = await readFile(path.join(REPOSITORY, 'docs/cli.md'), 'utf8');
  const { stdout } = await help();
  const commands = [...stdout.matchAll(/^ {2}([a-z]+)\b(?=.*(\[|<| {2}))/gm)].map(([, name = '']) => name);
  const names = [...new Set(commands)].filter((name) => !['refit', 'help'].includes(name));
  expect(names).toEqual(expect.arrayContaining(['run', 'runs', 'approve', 'features', 'doctor']));
  for (const name of names) {
    const { stdout: text, code } = await help(name);
    expect(code).toBe(0);
    expect(text, name).toMatch(/Examples:\n {2}refit /);
    expect(page, `docs/cli.md tells of ${name}`).toMatch(new RegExp(`refit ${name}\\b`));
  }
});
