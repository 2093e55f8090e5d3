import { cacheFolder } from '../infra/parts.mjs';
import { workflowBundle } from './bundle.ts';

// Part of the set-up, so that the first worker need not wait for it. Tells where the bundle lies.
process.stdout.write(await workflowBundle(cacheFolder));
