import { buildWorkflowBundle } from './bundle.ts';

const [file = ''] = process.argv.slice(2);
await buildWorkflowBundle(file);
