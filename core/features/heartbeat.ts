import type { StepContext } from '../store/step.ts';

const INTERVAL_MS = 2_000;

/** Says every two seconds that the work goes on: DuckDB's own progress stands still in joins. */
export async function heartbeat<T>(context: StepContext, details: Record<string, unknown>, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const tell = () => context.progress({ ...details, seconds: Math.round((Date.now() - started) / 1000) });
  const timer = setInterval(tell, INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
