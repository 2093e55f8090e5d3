/**
 * A process of its own that races for one key: `racing-writer.ts <adapter module> <factory> <argument> <plan as JSON>`.
 * Says `ready`, waits for a line on standard input, then starts all its writers at once and prints who won as JSON.
 */
import { once } from 'node:events';
import type { ObjectStore, PutCondition } from '../../core/store/ports.ts';

interface Plan {
  key: string;
  condition: PutCondition;
  writers: string[];
}

const [module = '', factory = '', argument = '', plan = ''] = process.argv.slice(2);
const { [factory]: create } = (await import(module)) as Record<string, (argument: string) => ObjectStore>;
const { key, condition, writers } = JSON.parse(plan) as Plan;
if (!create) throw new Error(`${module} exports no ${factory}`);
const store = create(argument);
process.stdout.write('ready\n');
await once(process.stdin, 'data');
const etags = await Promise.all(writers.map((name) => store.put(key, new TextEncoder().encode(name), condition)));
process.stdout.write(`${JSON.stringify(writers.filter((_, i) => etags[i] !== undefined))}\n`, () => process.exit(0));
