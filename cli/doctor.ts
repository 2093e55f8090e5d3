import { Command } from 'commander';
import { placesOf } from '../core/compose/refit.ts';
import { listPipelines } from '../core/pipeline/load.ts';
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
  const parts = await inspect();
  const pipelines = await listPipelines(places.pipelines);
  const healthy = parts.every(({ ok }) => ok);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ok: healthy, parts, pipelines, root: places.root, store: places.store })}\n`,
    );
    return healthy ? 0 : 1;
  }
  for (const { ok, detail, cure } of parts) {
    process.stdout.write(`${ok ? green('✓') : red('✗')} ${detail}\n`);
    if (!ok && cure) process.stdout.write(`  ${cure}\n`);
  }
  process.stdout.write(
    `\nProject    ${places.root}\nStore      ${places.store}\nPipelines  ${pipelines.join(', ') || `none in ${places.pipelines}`}\n`,
  );
  process.stdout.write(
    healthy ? bold('\nAll is here.\n') : bold('\nSomething is missing: run `npx --no refit setup`.\n'),
  );
  return healthy ? 0 : 1;
}
