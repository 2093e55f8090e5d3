import { rename } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { joinViews } from '../../core/features/compile.ts';
import { openSources } from '../../core/features/open-sources.ts';
import { sourceOf } from '../../core/features/source-table.ts';
import { ownSpine } from '../../core/features/spine.ts';
import type { Snapshot } from '../../core/spec/artifacts.ts';
import { extractAll, modelOf, type PipelineSteps, pipelineSteps, trainingSetOf } from '../support/pipeline-steps.ts';
import { createProject, type Project } from '../support/project.ts';

const AS_OF = '2013-05-01T00:00:00Z';
const SET = {
  'split.test': '1mo',
  'split.train.min': '1mo',
  'split.train.max': '2mo',
  'model.rounds': 30,
  'search.trials': 0,
};
const FLIGHTS = (month: string) => `data/nycflights13/flights/2013-${month}.parquet`;
const WEATHER = 'data/nycflights13/weather.parquet';

const projects: Project[] = [];
async function project(): Promise<Project> {
  const made = await createProject({ months: 6 });
  projects.push(made);
  return made;
}
afterAll(async () => {
  await Promise.all(projects.map((made) => made.remove()));
});

async function sql(statement: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

/** Replaces a Parquet file by a SELECT over `before`. */
async function rewrite(file: string, select: (before: string) => string): Promise<void> {
  await rename(file, `${file}.before`);
  await sql(`COPY (${select(`read_parquet('${file}.before')`)}) TO '${file}' (FORMAT parquet)`);
}

describe('what became known after asOf changes neither features nor model', () => {
  /** When each value of a flight became known, from the untouched data: what the poison may touch. */
  const timed = (before: string) => `SELECT *, time_hour::TIMESTAMP + to_minutes(minute) AS departs,
    departs + to_minutes(dep_delay) AS departed, departed + to_minutes(air_time + 30) AS landed FROM ${before}`;
  // A flight that never departed or landed has no such value that could become known later, unless it is still to depart.
  const later = (time: string, otherwise = 'departs') =>
    `coalesce(${time} > TIMESTAMP '${AS_OF.slice(0, 19)}', ${otherwise} > TIMESTAMP '${AS_OF.slice(0, 19)}')`;

  /** Every value of a flight that became known after asOf becomes something else: numbers, nulls, nonsense by turns. */
  const poisonFlights = (before: string) => {
    const wrong = (column: string, values: string[]) =>
      `(CASE flight % ${values.length} ${values.map((value, i) => `WHEN ${i} THEN ${value}`).join(' ')} END)::BIGINT AS ${column}`;
    // These two say when the flight departed and landed: before asOf they may not claim that it did. The others may be anything.
    const careful = (column: string, values: string[]) =>
      wrong(column, values)
        .replace('(CASE', `(CASE WHEN flight % 2 = 0 AND ${later('departs')} THEN -9999 ELSE (CASE`)
        .replace(')::', ') END)::');
    const replaced = (time: string, column: string) =>
      `CASE WHEN ${later(time)} THEN poisoned.${column} ELSE honest.${column} END AS ${column}`;
    return `WITH honest AS (SELECT row_number() OVER () AS row, * FROM (${timed(before)})),
      poisoned AS (SELECT row, ${wrong('dep_time', ['NULL', '-9999', '1', '2400'])}, ${careful('dep_delay', ['1999', 'NULL', '1234'])},
        ${wrong('arr_time', ['NULL', '2'])}, ${wrong('arr_delay', ['1999', 'NULL', '-9999', '-100'])},
        ${careful('air_time', ['1199', 'NULL', '900'])}, 'ZZZ' AS tailnum, 'ZZ' AS carrier, 'ZZZ' AS dest, 5999 AS distance FROM honest)
      SELECT honest.* EXCLUDE (row, departs, departed, landed) REPLACE (
        ${[
          ['dep_time', 'departed'],
          ['dep_delay', 'departed'],
          ['arr_time', 'landed'],
          ['arr_delay', 'landed'],
          ['air_time', 'landed'],
        ]
          .map(
            ([column = '', time = '']) =>
              `CASE WHEN ${later(time)} THEN poisoned.${column} ELSE honest.${column} END AS ${column}`,
          )
          .join(', ')},
        ${replaced('departs - INTERVAL 1 DAY', 'tailnum')},
        ${['carrier', 'dest', 'distance'].map((column) => replaced('departs - INTERVAL 30 DAY', column)).join(', ')})
      FROM honest JOIN poisoned USING (row) ORDER BY row`;
  };
  /** New rows, and late ones: they happened before asOf but were recorded after it. */
  const withLateRows = (select: string, late: string) =>
    `SELECT *, NULL::TIMESTAMP AS recorded_at FROM (${select}) UNION ALL ${late}`;

  async function build(of: Project) {
    const steps = await pipelineSteps(of, AS_OF, SET);
    const trainingSet = await trainingSetOf(steps, await extractAll(steps));
    return { digest: trainingSet.digest, model: (await modelOf(steps, trainingSet)).native.sha256 };
  }

  test('every such value poisoned in place, in new rows and in late rows', async () => {
    const honest = await build(await project());
    const poisoned = await project();
    for (const month of ['01', '02', '03', '04', '05', '06']) {
      await rewrite(poisoned.path(FLIGHTS(month)), (before) => {
        const late = `SELECT * REPLACE (flight + 1 AS flight, 600 AS dep_delay, 600 AS arr_delay),
          TIMESTAMP '2013-05-01 00:00:01' AS recorded_at FROM ${before} WHERE flight % 50 = 0`;
        return withLateRows(poisonFlights(before), late);
      });
    }
    await rewrite(poisoned.path(WEATHER), (before) => {
      const future = `SELECT * REPLACE (CASE WHEN ${later('time_hour::TIMESTAMP', 'time_hour::TIMESTAMP')} THEN -55 ELSE temp END AS temp,
        CASE WHEN ${later('time_hour::TIMESTAMP', 'time_hour::TIMESTAMP')} THEN 9999 ELSE wind_speed END AS wind_speed) FROM ${before}`;
      return withLateRows(
        future,
        `SELECT * REPLACE (time_hour + INTERVAL 1 MINUTE AS time_hour, 120 AS temp),
        TIMESTAMP '2013-05-02 06:00:00' AS recorded_at FROM ${before} WHERE time_hour < '2013-05-01'`,
      );
    });
    expect(await build(poisoned)).toEqual(honest);

    // The test can fail: one value that was known changes both.
    await rewrite(
      poisoned.path(FLIGHTS('02')),
      (before) => `SELECT * REPLACE (
      CASE WHEN day < 15 AND origin = 'JFK' THEN 300 ELSE dep_delay END AS dep_delay) FROM ${before}`,
    );
    const changed = await build(poisoned);
    expect(changed.digest).not.toBe(honest.digest);
    expect(changed.model).not.toBe(honest.model);
  });
});

describe('what became known after the prediction time of a row does not change its features', () => {
  let steps: PipelineSteps;
  let snapshots: Record<string, Snapshot>;
  beforeAll(async () => {
    steps = await pipelineSteps(await project(), AS_OF, SET);
    snapshots = await extractAll(steps);
  });

  /** The features of one spine row, with the tables it is computed from poisoned as given. */
  async function featuresOf(
    flight: string,
    poison: (relation: string, snapshot: Snapshot) => string,
  ): Promise<unknown> {
    const { spec, refit } = steps;
    return withDuckDb({ scratch: refit.places.state }, async (db) => {
      const sources = await openSources(db, await poisonedSnapshots(poison), refit.blobs, AS_OF);
      const request = {
        spec: spec.spine,
        views: spec.features,
        source: sourceOf(sources, spec.spine.source, 'spine'),
        table: 'spine',
      };
      const spine = await ownSpine(db, { ...request, when: 'true' });
      await db.run(`CREATE TEMP TABLE one AS SELECT * FROM spine WHERE flight_id = '${flight}'`);
      const { relation } = await joinViews({ spine: { ...spine, relation: 'one' }, views: spec.features, sources });
      const [row] = await db.rows(`SELECT * EXCLUDE (__row) FROM ${relation}`);
      return row;
    });
  }

  async function poisonedSnapshots(
    poison: (relation: string, snapshot: Snapshot) => string,
  ): Promise<Record<string, Snapshot>> {
    const { refit } = steps;
    const entries = Object.entries(snapshots).map(async ([name, snapshot]) => {
      const files = await Promise.all(snapshot.partitions.map(({ data }) => refit.blobs.path(data)));
      const file = `${refit.places.state}/poisoned-${name}.parquet`;
      const relation = `read_parquet([${files.map((one) => `'${one}'`).join(', ')}])`;
      await sql(`COPY (${poison(relation, snapshot)}) TO '${file}' (FORMAT parquet)`);
      return [name, { ...snapshot, partitions: [{ name: 'all', data: await refit.blobs.putFile(file) }] }] as [
        string,
        Snapshot,
      ];
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  /** Every value known after `time` becomes nonsense of its type, and rows known later are added for every key. */
  function poisonAfter(time: string) {
    return (relation: string, { columns }: Snapshot): string => {
      const known = (names: string[]) =>
        names.length > 1 ? `greatest(${names.join(', ')})` : (names[0] ?? '__known_0');
      const nonsense = (type: string) =>
        type === 'VARCHAR' ? "'ZZZ'" : type === 'TIMESTAMP' ? `TIMESTAMP '${time}'` : '77';
      const poisoned = columns.map(({ name, type, known: groups }) => {
        return `CASE WHEN ${known(groups)} > TIMESTAMP '${time}' THEN ${nonsense(type)} ELSE "${name}" END AS "${name}"`;
      });
      const groups = [...new Set(columns.flatMap((column) => column.known))];
      const late = groups.map((group) => `TIMESTAMP '${time}' + INTERVAL 1 SECOND AS ${group}`);
      const numbers = columns.filter(({ type }) => /INT|DOUBLE/.test(type)).map(({ name }) => `88 AS "${name}"`);
      return `SELECT * REPLACE (${poisoned.join(', ')}) FROM ${relation}
        UNION ALL SELECT * REPLACE (${[...late, ...numbers].join(', ')}) FROM ${relation} USING SAMPLE 5 PERCENT (system, 1)`;
    };
  }

  test('for rows from all over the training set', async () => {
    const trainingSet = await trainingSetOf(steps, snapshots);
    const file = await steps.refit.blobs.path(trainingSet.data);
    const sampled = await withDuckDb({ scratch: steps.refit.places.state }, (db) =>
      db.rows<{ flight_id: string; at: string }>(`SELECT flight_id, strftime(predict_at, '%Y-%m-%d %H:%M:%S') AS at
        FROM (SELECT *, row_number() OVER () AS row FROM read_parquet('${file}')) WHERE row % ${Math.floor(trainingSet.rows.train / 5)} = 17`),
    );
    expect(sampled.length).toBeGreaterThanOrEqual(5);
    for (const { flight_id: flight, at } of sampled) {
      const honest = await featuresOf(flight, (relation) => `SELECT * FROM ${relation}`);
      expect(await featuresOf(flight, poisonAfter(at)), `${flight} at ${at}`).toEqual(honest);
      // The test can fail: poison from four hours earlier on is seen.
      const earlier = new Date(Date.parse(`${at.replace(' ', 'T')}Z`) - 4 * 3_600_000)
        .toISOString()
        .slice(0, 19)
        .replace('T', ' ');
      expect(await featuresOf(flight, poisonAfter(earlier)), `${flight} poisoned from ${earlier}`).not.toEqual(honest);
    }
  });
});
