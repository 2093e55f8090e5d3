/** What the environment says about the gateway. */
import { availableParallelism } from 'node:os';
import { RefitError } from '../core/spec/errors.ts';

export interface Settings {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Largest request body, in bytes. */
  bodyLimit: number;
  /** Predict requests under way at once; one more is refused. */
  requests: number;
  /** Rows of one model that may wait for inference, and the most rows of one request. */
  queueRows: number;
  /** Rows that are scored together, at most. */
  batchRows: number;
  /** Threads that infer. */
  threads: number;
  /** How often routing is looked at. */
  pollMs: number;
  /** How long requests under way may take after a stop was asked for. */
  drainMs: number;
  /** Open models when they are found, not when they are first asked: quicker first answer, more memory when idle. */
  warm: boolean;
}

/** Reads REFIT_GATEWAY_*. @throws RefitError REFIT_USAGE naming the variable */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const whole = (name: string, fallback: number, least: number, most: number): number => {
    const text = env[`REFIT_GATEWAY_${name}`];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new RefitError(
      'REFIT_USAGE',
      `REFIT_GATEWAY_${name} is "${text}"; it must be a whole number from ${least} to ${most}.`,
    );
  };
  const cores = availableParallelism();
  return {
    host: env.REFIT_GATEWAY_HOST || '127.0.0.1',
    port: whole('PORT', 8080, 0, 65_535),
    bodyLimit: whole('BODY_BYTES', 16 * 1024 * 1024, 1024, 1024 ** 3),
    requests: whole('REQUESTS', 512, 1, 100_000),
    queueRows: whole('QUEUE_ROWS', 100_000, 1, 10_000_000),
    batchRows: whole('BATCH_ROWS', 1024, 1, 1_000_000),
    threads: whole('THREADS', cores <= 2 ? 1 : Math.min(4, cores - 1), 1, 256),
    pollMs: whole('POLL_MS', 500, 10, 3_600_000),
    drainMs: whole('DRAIN_MS', 10_000, 0, 3_600_000),
    warm: whole('WARM', 0, 0, 1) === 1,
  };
}
