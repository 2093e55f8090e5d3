import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { storeProblem } from '../core/compose/probe.ts';
import { compose, type Places, placesOf } from '../core/compose/refit.ts';
import { listPipelines } from '../core/pipeline/load.ts';
import { RefitError } from '../core/spec/errors.ts';
import { inspect } from '../infra/parts.mjs';
import { projectRoot } from './project.ts';
import { bold, green, red } from './terminal.ts';

export function doctorCommand(exit: (status: number) => void): Command {
  return new Command('doctor')
    .description('Show what is here, what is missing, and how to get it.')
    .option('--json', 'print the list as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json }: { json?: boolean }) => exit(await doctor(json === true)));
}

const EXAMPLES = `
Examples:
  refit doctor
  refit doctor --json | jq -r '.parts[] | select(.ok | not) | .cure'

Exit status: 0 all is here, 1 something is missing.`;

async function doctor(json: boolean): Promise<number> {
  const places = placesOf(projectRoot());
  const [parts, online] = await Promise.all([inspect(), inspectOnlineStore(places)]);
  const pipelines = await listPipelines(places.pipelines);
  const whole = parts.every(({ ok }) => ok);
  const problem = await storeProblem(compose(places).objects);
  const healthy = whole && online.ok && problem === undefined;
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ok: healthy, parts, pipelines, root: places.root, ...storeJson(places.store, problem), online })}\n`,
    );
    return healthy ? 0 : 1;
  }
  for (const { ok, detail, cure } of parts) {
    process.stdout.write(`${ok ? green('✓') : red('✗')} ${detail}\n`);
    if (!ok && cure) process.stdout.write(`  ${cure}\n`);
  }
  if (problem) process.stdout.write(`${red('✗')} ${problem.message}\n  ${problem.cure}\n`);
  if (!online.ok) process.stdout.write(`${red('✗')} ${online.detail}\n  ${online.cure}\n`);
  process.stdout.write(
    `\nProject    ${places.root}\nStore      ${places.store}${problem ? '' : ', it answers'}\nOnline     ${online.address}${online.ok ? `, ${online.detail}` : ''}\nPipelines  ${pipelines.join(', ') || `none in ${places.pipelines}`}\n`,
  );
  const advice = whole
    ? problem
      ? 'The store cannot be used.'
      : 'The online store is not as it should be.'
    : 'Something is missing: run `npx --no refit setup`.';
  process.stdout.write(bold(`\n${healthy ? 'All is here.' : advice}\n`));
  return healthy ? 0 : 1;
}

/** What the doctor tells of the online store; `address` without its password. */
interface OnlineFinding {
  address: string;
  ok: boolean;
  detail: string;
  cure?: string;
}

async function inspectOnlineStore(places: Places): Promise<OnlineFinding> {
  // LMDB's folder is made when it is first written to; looking must not make it.
  if (!/^rediss?:/.test(places.online) && !existsSync(places.online)) {
    return { address: `lmdb:${places.online}`, ok: true, detail: 'empty yet' };
  }
  const refit = compose(places);
  let address = 'the online store';
  try {
    const store = refit.online();
    address = store.address;
    await store.get('doctor', ['does it answer?']);
    const hazard = await store.hazard();
    if (hazard) return { address, ok: false, detail: hazard.message, cure: hazard.cure };
    return { address, ok: true, detail: 'it answers' };
  } catch (error) {
    const { message, cure } = error instanceof RefitError ? error : new RefitError('REFIT_INTERNAL', String(error));
    return { address, ok: false, detail: message, cure };
  } finally {
    await refit.close();
  }
}

/** `storeProblem` is null where the store can be reached and read. */
function storeJson(store: string, problem: RefitError | undefined) {
  return { store, storeProblem: problem ? { code: problem.code, message: problem.message, cure: problem.cure } : null };
}
