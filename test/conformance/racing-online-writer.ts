/**
 * A process of its own that writes entities of one view, many times, newest not last:
 * `racing-online-writer.ts <adapter module> <factory> <argument> <plan as JSON>`. Says `ready`, waits for a line on standard
 * input, writes, and prints how many rows it wrote.
 */
import { once } from 'node:events';
import type { OnlineStore } from '../../core/features/online-store.ts';

/** Each write: an event time and a known time, for every key. */
interface Plan {
  view: string;
  keys: string[];
  writes: [eventAtUs: number, knownAtUs: number][];
}

const [module = '', factory = '', argument = '', plan = ''] = process.argv.slice(2);
const { [factory]: create } = (await import(module)) as Record<string, (argument: string) => OnlineStore>;
const { view, keys, writes } = JSON.parse(plan) as Plan;
if (!create) throw new Error(`${module} exports no ${factory}`);
const store = create(argument);
await store.get(view, keys);
process.stdout.write('ready\n');
await once(process.stdin, 'data');
let written = 0;
for (const [eventAtUs, knownAtUs] of writes) {
  const values = [eventAtUs, knownAtUs, `of ${process.pid}`];
  written += await store.put(
    view,
    keys.map((key) => ({ key, values, eventAtUs, knownAtUs })),
  );
}
await store.close();
process.stdout.write(`${written}\n`, () => process.exit(0));
