/** What `/metrics` tells, in the words of Prometheus. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { PredictionLog } from './prediction-log.ts';
import type { Router } from './router.ts';

export type Metrics = ReturnType<typeof createMetrics>;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384];

/** One registry a gateway. Labels named `model` hold names of models that serve, or '' for any other. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    requests: new Counter({
      name: 'refit_gateway_requests_total',
      help: 'Requests answered.',
      labelNames: ['route', 'method', 'status', 'model'],
      registers,
    }),
    seconds: new Histogram({
      name: 'refit_gateway_request_seconds',
      help: 'From the request to its answer.',
      labelNames: ['route', 'model'],
      buckets: SECONDS,
      registers,
    }),
    refused: new Counter({
      name: 'refit_gateway_refused_total',
      help: 'Requests refused because the gateway was at a limit.',
      registers,
    }),
    underway: new Gauge({
      name: 'refit_gateway_requests_under_way',
      help: 'Predict requests that are being answered.',
      registers,
    }),
    predictions: new Counter({
      name: 'refit_gateway_predictions_total',
      help: 'Rows scored.',
      labelNames: ['model', 'version', 'source'],
      registers,
    }),
    batchRows: new Histogram({
      name: 'refit_gateway_batch_rows',
      help: 'Rows scored together.',
      labelNames: ['model'],
      buckets: ROWS,
      registers,
    }),
    missing: new Counter({
      name: 'refit_gateway_feature_misses_total',
      help: 'Feature values that were looked up and not there, by feature view.',
      labelNames: ['model', 'view'],
      registers,
    }),
    champion: new Gauge({
      name: 'refit_gateway_champion_version',
      help: 'Version that serves.',
      labelNames: ['model'],
      registers,
    }),
    routingProblems: new Counter({
      name: 'refit_gateway_routing_problems_total',
      help: 'Times that a routing record or its champion could not be used.',
      labelNames: ['model'],
      registers,
    }),
  };
}

/** The prediction log is asked when somebody looks. */
export function watchLog({ registry }: Metrics, log: PredictionLog): void {
  const gauges = [
    ['refit_gateway_log_rows_total', 'Rows written to the prediction log.', 'written'],
    ['refit_gateway_log_dropped_total', 'Rows lost because the log could not be written for too long.', 'dropped'],
    ['refit_gateway_log_failures_total', 'Attempts at writing the log that failed.', 'failures'],
    ['refit_gateway_log_buffered_rows', 'Rows that are in memory only.', 'buffered'],
    ['refit_gateway_log_lag_seconds', 'Age of the oldest row that is not in the store yet.', 'lagSeconds'],
  ] as const;
  for (const [name, help, field] of gauges) {
    const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(log.state()[field]) });
  }
}

/** How old the online features of the models that serve are, asked when somebody looks; what cannot be told is left out. */
export function watchFreshness({ registry }: Metrics, router: Router): void {
  const registers = [registry];
  const told = async () => {
    const models = router.models().map(async (model) => {
      const freshness = await router.pick(model).then(({ features }) => features.freshness());
      return freshness && { model, ...freshness };
    });
    const known = await Promise.allSettled(models);
    return known.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : []));
  };
  const age: Gauge<'model' | 'view'> = new Gauge({
    name: 'refit_online_view_age_seconds',
    help: 'Time since the newest event that the online features of a view know.',
    labelNames: ['model', 'view'],
    registers,
    async collect() {
      const found = await told();
      age.reset();
      for (const { model, newestMs } of found) {
        for (const [view, ms] of newestMs) age.set({ model, view }, (Date.now() - ms) / 1000);
      }
    },
  });
  const materialized: Gauge<'model'> = new Gauge({
    name: 'refit_online_materialized_age_seconds',
    help: 'Time since the date that the online features were brought to.',
    labelNames: ['model'],
    registers,
    async collect() {
      const found = await told();
      materialized.reset();
      for (const { model, asOf } of found) materialized.set({ model }, (Date.now() - Date.parse(asOf)) / 1000);
    },
  });
}
