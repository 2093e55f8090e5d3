/**
 * The gateway's process: listens until SIGTERM, SIGINT, or until the process that started it is gone. `REFIT_ROOT` names the
 * project; a parent is told `{ ready: true, port }`. Started by start.mjs, which needs less memory than TypeScript sources do.
 */
import { compose, placesOf } from '../core/compose/refit.ts';
import { RefitError } from '../core/spec/errors.ts';
import { startGateway } from './gateway.ts';
import { readSettings } from './settings.ts';

// Whoever read what we say may be gone before us: that is no reason to drop requests and the log.
process.stderr.on('error', () => undefined);

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const refit = compose(placesOf(process.env.REFIT_ROOT ?? process.cwd()));
  const gateway = await startGateway(refit, settings);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
    process.once('disconnect', () => resolve());
  });
  process.send?.({ ready: true, port: gateway.port });
  process.stderr.write(`refit gateway: listening on http://${settings.host}:${gateway.port}\n`);
  await stopped;
  await gateway.stop();
  await refit.close();
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const known = error instanceof RefitError ? error : undefined;
  const { code, message, cure } = known ?? new RefitError('REFIT_INTERNAL', String(error));
  process.stderr.write(`${code}: ${message}\n  ${cure}\n`);
  if (!known && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(known?.exit ?? 1);
}
