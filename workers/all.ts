import { runWorkers } from './run-worker.ts';

// One process for one machine: every queue.
await runWorkers(['control', 'cpu', 'gpu']);
