import { Command } from 'commander';
import { checkSource } from '../../core/dataset/check-source.ts';
import { foundSource } from '../../core/dataset/found-source.ts';
import { sourceAsOf } from '../../core/dataset/publish-source.ts';
import { describeRule } from '../../core/dataset/refusals.ts';
import { requireContracts } from '../../core/dataset/require-contracts.ts';
import { describeChange } from '../../core/dataset/schema-change.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import type { Partition, RuleResult } from '../../core/spec/artifacts.ts';
import type { DataCheck, SourceCheck } from '../../core/spec/cli.ts';
import { RefitError } from '../../core/spec/errors.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import {
  depsOf,
  extractPartitions,
  inspectSources,
  isoSeconds,
  newestEventOf,
  type SourceFiles,
  seenNow,
} from '../features/extract-sources.ts';
import { type Workbench, withScratch } from '../features/with-scratch.ts';
import { bold, count, dim, green, red, table, yellow } from '../terminal.ts';
import { print } from '../with-stack.ts';
import { chosenSources } from './chosen-sources.ts';

interface Options {
  source?: string;
  asOf?: string;
  json?: boolean;
}

export function checkCommand(exit: (status: number) => void): Command {
  return new Command('check')
    .description('Hold the sources of a pipeline against their contracts as they are now, without a run.')
    .argument('<pipeline>', 'name of a folder under pipelines/')
    .option('--source <name>', 'this source only')
    .option('--as-of <time>', 'logical date, UTC (default: the pipeline decides)')
    .option('--json', 'print every rule with its count and samples as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (pipeline: string, options: Options) => exit(await check(pipeline, options)));
}

const EXAMPLES = `
Examples:
  refit data check flight-delays
  refit data check flight-delays --source weather
  refit data check flight-delays --as-of 2013-07-01 --json

Tells every rule that is broken, how often, and a few of the rows; what a run would refuse, and why. Exit status 1 when a run
would fail. Personal data (x-pii) is treated as in a run.`;

async function check(pipeline: string, { source, asOf, json }: Options): Promise<number> {
  const limit = asOf === undefined ? undefined : canonicalAsOf(asOf);
  const found = await withScratch(async (bench): Promise<DataCheck> => {
    const spec = await loadPipeline(bench.refit.places.pipelines, pipeline);
    return checkSources(bench, spec, chosenSources(spec, source), limit);
  });
  print(found, json, () => text(found));
  return found.ok ? 0 : 1;
}

async function checkSources(
  bench: Workbench,
  spec: PipelineSpec,
  wanted: string[],
  limit: string | undefined,
): Promise<DataCheck> {
  const { refit, context } = bench;
  const references = requireContracts(spec.sources, refit.places);
  const needed = new Set([...wanted, ...wanted.flatMap((name) => references[name] ?? [])]);
  // What asOf 'latest' means is told by the spine's source.
  if (limit === undefined && spec.asOf === 'latest') needed.add(spec.spine.source);
  const failed = new Map<string, RefitError>();
  const inspected: SourceFiles[] = [];
  for (const name of needed) {
    const one = { refit, spec: only(spec, name), signal: context.signal };
    inspected.push(...(await inspectSources(one).catch(keep(failed, name))));
  }
  const end = spec.asOf === 'latest' ? newestEventOf(inspected, [spec.spine.source]) : undefined;
  const asOf = limit ?? end ?? isoSeconds(Date.now() - 1000);
  const partitions: Record<string, Partition[]> = {};
  for (const files of inspected) {
    const work = { refit, spec, signal: context.signal };
    Object.assign(partitions, await extractPartitions(work, [files], asOf).catch(keep(failed, files.source)));
  }
  const seenAt = seenNow();
  const sources: SourceCheck[] = [];
  for (const source of wanted) {
    const other = (references[source] ?? []).find((name) => failed.has(name));
    const error = failed.get(source) ?? (other === undefined ? undefined : failed.get(other));
    if (error) sources.push({ source, rows: 0, rejected: 0, rules: [], changes: [], problems: [problem(error)] });
    else sources.push(await checkOne(bench, spec, { source, asOf, seenAt, partitions, refers: references[source] }));
  }
  return { pipeline: spec.name, asOf, ok: sources.every(({ problems }) => problems.length === 0), sources };
}

interface One {
  source: string;
  asOf: string;
  seenAt: string;
  partitions: Record<string, Partition[]>;
  refers: string[] | undefined;
}

async function checkOne(
  { refit, context }: Workbench,
  spec: PipelineSpec,
  { source, asOf, seenAt, partitions, refers }: One,
): Promise<SourceCheck> {
  const work = { refit, spec, signal: context.signal };
  const found = foundSource(refit.places, spec, source, { asOf, seenAt, partitions, refers });
  const of = await sourceAsOf(depsOf(work), found);
  const { judgement, changes, complaints } = await checkSource(of, context);
  const { rows = 0, rejected = 0, rules = [] } = judgement?.checks ?? {};
  return { source, rows, rejected, rules, changes, problems: complaints.map(problem) };
}

const only = (spec: PipelineSpec, name: string): PipelineSpec => ({
  ...spec,
  sources: Object.fromEntries(Object.entries(spec.sources).filter(([source]) => source === name)),
});

/** One source that cannot be read must not hide what is wrong with the others. */
const keep =
  (failed: Map<string, RefitError>, source: string) =>
  (error: unknown): never[] => {
    if (!(error instanceof RefitError) || error.code === 'REFIT_CANCELLED' || error.code.startsWith('REFIT_STORE'))
      throw error;
    failed.set(source, error);
    return [];
  };

const problem = ({ code, message, cure }: RefitError) => ({ code, message, cure });

function text({ pipeline, asOf, sources }: DataCheck): string {
  const parts = sources.map(({ source, rows, rejected, rules, changes, problems }) => {
    const verdict = problems.length > 0 ? red('a run would fail') : green('fine');
    const broken = rules.filter(({ passed }) => !passed);
    return [
      `${bold(source)}: ${verdict}, ${count(rows)} rows, ${count(rejected)} rejected, ${rules.length} rules, ${broken.length} broken`,
      ...problems.map(({ message, cure }) => `  ${red('✗')} ${message}\n    ${dim(cure)}`),
      ...changes.map(
        (change) => `  ${change.compatible ? dim('columns') : yellow('columns')} ${describeChange(change)}`,
      ),
      ...(broken.length === 0 ? [] : [indent(brokenTable(broken))]),
    ].join('\n');
  });
  return [`${bold(pipeline)} as of ${asOf}`, ...parts].join('\n\n');
}

function brokenTable(rules: RuleResult[]): string {
  const rows = rules.map((rule) => [
    rule.kind === 'table' ? describeRule(rule) : rule.rule,
    count(rule.count),
    rule.kind === 'row' ? 'rejects rows' : rule.severity === 'warn' ? yellow('warns') : red('fails'),
    sample(rule),
  ]);
  return table(['rule', 'rows', 'so it', 'for example'], rows, [1]);
}

function sample({ samples: [first], column }: RuleResult): string {
  if (!first) return '';
  const shown = Object.entries(first.values).slice(0, column === null ? 4 : 3);
  return dim(
    `${first.partition}:${first.row}  ${shown.map(([name, value]) => `${name}=${value ?? 'null'}`).join(' ')}`,
  );
}

const indent = (lines: string): string => lines.replace(/^/gm, '  ');
