import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DuckDb, identifier, literal } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { BlobRef, FeatureInfo, Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { defineStep, type StepContext } from '../store/step.ts';
import { joinViews } from './compile.ts';
import { identifiers } from './feature-columns.ts';
import { createLmdbOnlineStore } from './lmdb-online-store.ts';
import { materializeViews } from './materialize.ts';
import { withSources } from './open-sources.ts';
import { type FeatureVector, readFeatures } from './read-features.ts';
import { type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { foreignSpine, ownSpine } from './spine.ts';

export interface OnlineParityInput {
  spine: SpineSpec;
  views: FeatureView[];
  snapshots: Record<string, Snapshot>;
  asOf: string;
  /** Entities to compare, at most. */
  sample: number;
}

/** The same entities, in the same order: Parquet with one column a feature. */
export interface OnlineSample {
  offline: BlobRef;
  online: BlobRef;
  rows: number;
}

/**
 * Features of sampled entities at asOf, by both ways: materialised, stored and read online, and by the offline join. The
 * sample is of the spine rows nearest to asOf that were known then, and is the same for the same data.
 * @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID, REFIT_STORE_CORRUPT
 */
export const sampleOnlineParity = defineStep<OnlineParityInput, OnlineSample>({
  name: 'sample-online-parity',
  version: 3,
  natives: ['duckdb'],
  source: import.meta.url,
  run: (input, context) => withSources(input, context, (db, sources) => compare(db, sources, input, context)),
});

async function compare(
  db: DuckDb,
  sources: SourceTables,
  input: OnlineParityInput,
  context: StepContext,
): Promise<OnlineSample> {
  const { spine: spec, views, asOf } = input;
  const source = sourceOf(sources, spec.source, 'spine');
  const rows = await sampleEntities(db, input, source);

  const relation = `(SELECT ${timestampLiteral(asOf)} AS predict_at, * FROM __sample)`;
  const spine = await foreignSpine(db, { spec, views, source, table: '__asked', relation });
  const joined = await joinViews({ spine, views, sources });
  const names = joined.features.map(({ name }) => `f.${identifier(name)}`).join(', ');
  const offline = path.join(context.scratch, 'offline.parquet');
  await db.run(`COPY (SELECT ${names} FROM __asked s JOIN ${joined.relation} f USING (__row) ORDER BY s.__position)
    TO ${literal(offline)} (FORMAT parquet)`);

  const store = createLmdbOnlineStore(path.join(context.scratch, 'online'));
  try {
    const request = {
      ...{ pipeline: 'parity', spine: spec, views, snapshots: input.snapshots, sources, asOf },
      entities: '(SELECT * EXCLUDE (__position) FROM __sample)',
    };
    const { blobs, signal } = context;
    const { namespace } = await materializeViews(db, store, { ...request, blobs, signal });
    const keys =
      await db.rows(`SELECT ${spec.key.map((key) => `${identifier(key)}::VARCHAR AS ${identifier(key)}`).join(', ')}
      FROM __sample ORDER BY __position`);
    const { vectors } = await readFeatures(store, namespace, keys, asOf);
    const online = path.join(context.scratch, 'online.parquet');
    await writeVectors(db, vectors, joined.features, online, context.scratch);
    return { offline: await context.blobs.putFile(offline), online: await context.blobs.putFile(online), rows };
  } finally {
    await store.close();
  }
}

/** `__sample`: keys with their `__position`. Rows to come first, then the newest of the past, picked by a hash of the key. */
async function sampleEntities(
  db: DuckDb,
  { spine: spec, asOf, sample }: OnlineParityInput,
  source: SourceTable,
): Promise<number> {
  const now = timestampLiteral(asOf);
  await ownSpine(db, {
    spec,
    views: [],
    source,
    table: '__near',
    at: now,
    when: `__predict_at <= ${now} + INTERVAL 7 DAY`,
  });
  const keys = identifiers(spec.key);
  const text = spec.key.map((key) => `${identifier(key)}::VARCHAR`).join(`, '\n', `);
  await db.run(`CREATE OR REPLACE TEMP TABLE __sample AS
    WITH known AS (SELECT ${keys}, max(__predict_at) AS __last FROM __near
      WHERE ${spec.key.map((key) => `${identifier(key)} IS NOT NULL`).join(' AND ')} GROUP BY ${keys}),
    nearest AS (SELECT * FROM known ORDER BY __last <= ${now}, abs(epoch(__last - ${now})), ${keys} LIMIT ${sample * 5}),
    picked AS (SELECT * FROM nearest ORDER BY md5(concat(${text})), ${keys} LIMIT ${sample})
    SELECT ${keys}, row_number() OVER (ORDER BY ${keys}) AS __position FROM picked`);
  const [row] = await db.rows<{ n: number }>('SELECT count(*)::DOUBLE AS n FROM __sample');
  return row?.n ?? 0;
}

/** Vectors as Parquet, in order, by way of JSON: it writes every float32 so that it reads back the same. */
async function writeVectors(
  db: DuckDb,
  vectors: FeatureVector[],
  features: FeatureInfo[],
  file: string,
  scratch: string,
): Promise<void> {
  const lines = vectors.map(({ values }, position) => JSON.stringify({ __position: position, ...values }));
  const json = path.join(scratch, 'online.json');
  await writeFile(json, lines.join('\n'));
  const types = features.map(({ name, kind }) => `${identifier(name)}: '${kind === 'number' ? 'FLOAT' : 'VARCHAR'}'`);
  await db.run(`COPY (SELECT ${identifiers(features.map(({ name }) => name))}
    FROM read_json(${literal(json)}, format = 'newline_delimited', columns = {__position: 'BIGINT', ${types.join(', ')}}) ORDER BY __position)
    TO ${literal(file)} (FORMAT parquet)`);
}
