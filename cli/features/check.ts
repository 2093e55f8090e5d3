import { Command } from 'commander';
import { servedSpec } from '../../core/compose/served-spec.ts';
import { checkOnline, materializedAsOf } from '../../core/features/check-online.ts';
import type { FeatureCheck } from '../../core/spec/cli.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import { bold, count, dim, green, red, table } from '../terminal.ts';
import { print } from '../with-stack.ts';
import { extractSources, inspectSources, isoSeconds } from './extract-sources.ts';
import { withScratch } from './with-scratch.ts';

interface Options {
  pipeline: string;
  at?: string;
  sample: string;
  json?: boolean;
}

export function checkCommand(exit: (status: number) => void): Command {
  return new Command('check')
    .description(
      'Compare what the online store serves with the offline join, for the same entities and keys at the same time.',
    )
    .requiredOption('--pipeline <name>', 'whose features: as the champion declares them, else as pipeline.ts does')
    .option(
      '--at <time>',
      'time to ask for, UTC (default: now; what was materialised where the pipeline follows its data)',
    )
    .option('--sample <n>', 'entities to come to compare, and keys of each view, at most', '1000')
    .option('--json', 'print the result as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await check(options)));
}

const EXAMPLES = `
Examples:
  refit features check --pipeline flight-delays
  refit features check --pipeline flight-delays --at 2014-01-01T00:30:00Z --sample 200
  refit features check --pipeline flight-delays --json | jq '.views[] | select(.differing > 0)'

Values must be equal to the last bit. What became known since the features were materialised counts on neither side; a partition
that was corrected since then does: materialize again. Exit status: 0 all are equal, 1 some differ.`;

async function check({ pipeline, at: asked, sample, json }: Options): Promise<number> {
  if (!/^[1-9]\d{0,6}$/.test(sample)) {
    throw new RefitError('REFIT_USAGE', `--sample ${sample}: a whole number from 1 to 9999999 is needed.`);
  }
  const given = asked === undefined ? undefined : canonicalAsOf(asked);
  const result = await withScratch(async ({ refit, context }): Promise<FeatureCheck> => {
    const spec = await servedSpec(refit, pipeline);
    const of = { pipeline, spine: spec.spine, views: spec.features };
    const asOf = await materializedAsOf(refit.online(), of);
    const at = given ?? (spec.asOf === 'latest' ? asOf : isoSeconds(Math.max(Date.now(), Date.parse(asOf))));
    const work = { refit, spec, signal: context.signal };
    const snapshots = await extractSources(work, await inspectSources(work), { asOf: at, fresh: false });
    const checked = await checkOnline({ ...of, snapshots, at, sample: Number(sample) }, refit.online(), context);
    return { pipeline, store: refit.online().address, ...checked };
  });
  print(result, json, () => text(result));
  return result.same ? 0 : 1;
}

function text({ pipeline, store, asOf, at, entities, keys, unknown, views, same }: FeatureCheck): string {
  const rows = views.map(({ view, compared, differing }) => [
    view,
    count(compared),
    differing === 0 ? count(0) : red(count(differing)),
  ]);
  const examples = views.flatMap(({ view, example }) => {
    if (!example) return [];
    const key = Object.entries(example.key).map(([name, value]) => `${name}=${value}`);
    return [`${view}: ${example.feature} of ${key.join(' ')} is ${example.offline} offline, ${example.online} online`];
  });
  const verdict = same ? green('Online and offline are equal.') : red('Online and offline differ.');
  return [
    `${bold(pipeline)} at ${at}: ${count(entities)} entities to come, ${count(keys)} keys of views ${dim(`(${store} as of ${asOf})`)}`,
    table(['view', 'compared', 'differing'], rows, [1, 2]),
    ...(unknown > 0
      ? [
          red(
            `${count(unknown)} entities are not in the online store: refit features materialize --pipeline ${pipeline}`,
          ),
        ]
      : []),
    ...examples,
    verdict,
  ].join('\n');
}
