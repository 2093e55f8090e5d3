// Where the gateway runs from its TypeScript sources: a thread does not inherit the loader, so it brings its own.
import { register } from 'tsx/esm/api';

register();
const { default: infer } = await import('./inference-worker.ts');
export default infer;
