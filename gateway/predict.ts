/** The way of a request: features, score, log. */
import { randomUUID } from 'node:crypto';
import type { OnlineValue } from '../core/features/online-store.ts';
import { RefitError } from '../core/spec/errors.ts';
import { canonicalAsOf } from '../core/spec/time.ts';
import { type FeatureTable, rowReader } from './feature-table.ts';
import type { Instance } from './instances.ts';
import type { Metrics } from './metrics.ts';
import type { Prediction, PredictionLog } from './prediction-log.ts';
import type { PredictRequest, PredictResponse } from './schemas.ts';
import type { ServedModel } from './served-model.ts';

export interface Predictor {
  /** Answers `:predict`. @throws RefitError REFIT_REQUEST_INVALID, REFIT_ENTITY_UNKNOWN, REFIT_OVERLOADED */
  instances(served: ServedModel, request: PredictRequest, startedMs: number): Promise<PredictResponse>;
  /** Probabilities of a table that came as tensors. @throws RefitError as above */
  tensors(served: ServedModel, table: FeatureTable, startedMs: number): Promise<Float32Array>;
}

interface Row {
  source: Prediction['source'];
  keys: Record<string, string> | null;
}

/** `startedMs` are times of `performance.now()`. */
export function createPredictor(log: PredictionLog, metrics: Metrics, mostRows: number): Predictor {
  function checkRows(rows: number): void {
    if (rows <= mostRows) return;
    const message = `The request has ${rows} rows; at most ${mostRows} are taken at once.`;
    throw new RefitError('REFIT_REQUEST_INVALID', message, { status: 413, rows, mostRows });
  }

  function record(served: ServedModel, rows: Row[], table: FeatureTable, scores: Float32Array, latencyMs: number) {
    const { name: model, version } = served;
    const inputsOf = readerOf(served);
    const at = new Date();
    const request = randomUUID();
    const predictions = rows.map(({ source, keys }, i): Prediction => {
      const score = shortest(scores[i] ?? Number.NaN);
      metrics.predictions.inc({ model, version, source });
      const inputs = inputsOf(table, i);
      const id = `${request}/${i}`;
      return { id, at, model, version, source, keys, inputs, score, label: served.label(score), latencyMs };
    });
    log.append(predictions);
    return predictions;
  }

  return {
    async instances(served, { instances: given, asOf }, startedMs) {
      checkRows(given.length);
      const instances = served.instances.read(given);
      const at = asOf === undefined ? undefined : canonicalAsOf(asOf);
      const { table, missing } = await served.features.complete(instances, at);
      for (const [view, count] of Object.entries(missing)) metrics.missing.inc({ model: served.name, view }, count);
      const scores = await served.score(table);
      const latencyMs = elapsed(startedMs);
      const rows = instances.map(
        ({ key, lookUp }: Instance): Row => ({ source: lookUp ? 'features' : 'raw', keys: key }),
      );
      const predictions = record(served, rows, table, scores, latencyMs);
      return {
        model: served.name,
        version: served.version,
        predictions: predictions.map(({ score, label }) => ({ score, label })),
        latencyMs,
      };
    },

    async tensors(served, table, startedMs) {
      checkRows(table.rows);
      const scores = await served.score(table);
      const rows = Array.from({ length: table.rows }, (): Row => ({ source: 'v2', keys: null }));
      record(served, rows, table, scores, elapsed(startedMs));
      return scores;
    },
  };
}

type Reader = (table: FeatureTable, row: number) => Record<string, OnlineValue>;
const readers = new WeakMap<ServedModel, Reader>();

function readerOf(served: ServedModel): Reader {
  const reader = readers.get(served) ?? rowReader(served.manifest.trainedModel.features);
  readers.set(served, reader);
  return reader;
}

function elapsed(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 1000) / 1000;
}

/** The shortest decimal that is this float32: 0.3100000023841858 → 0.31. */
export function shortest(single: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(single.toPrecision(digits));
    if (Math.fround(decimal) === single) return decimal;
  }
  return single;
}
