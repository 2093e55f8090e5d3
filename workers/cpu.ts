import { runWorkers } from './run-worker.ts';

await runWorkers(['cpu']);
