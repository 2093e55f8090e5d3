import { Command } from 'commander';
import { addressIn, type Places } from '../core/compose/refit.ts';
import { describeModel, findModel } from '../core/registry/describe.ts';
import type { ModelDescription } from '../core/spec/cli.ts';
import { bold, dim, green, red, table, yellow } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function modelCommand(exit: (status: number) => void): Command {
  return new Command('model')
    .description('Show one version of a model: metrics, gates, parameters, signature, features, files, decisions.')
    .argument('<model[@version]>', 'the champion (or the newest version) unless a version is named')
    .option('--json', 'print the description as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { json }: { json?: boolean }) => exit(await model(name, json)));
}

const EXAMPLES = `
Examples:
  refit model flight-delays                         the version that serves
  refit model flight-delays@2
  refit model flight-delays@2 --json | jq .metrics.test`;

async function model(name: string, json: boolean | undefined): Promise<number> {
  const { description, store } = await withStore(async ({ objects, places }) => ({
    description: await describeModel(objects, await findModel(objects, name)),
    store: places,
  }));
  print(description, json, () => modelText(description, store));
  return 0;
}

function modelText(of: ModelDescription, store: Pick<Places, 'store'>): string {
  const lines = [
    `${bold(`${of.model}@${of.version}`)}  ${stateText(of.state)}`,
    dim(`as of ${of.asOf}, made ${of.createdAt.slice(0, 19)}Z`),
    ...(of.paused
      ? [yellow(`Paused by ${of.paused.by}: ${of.paused.reason}; a version that passes waits for a person`)]
      : []),
    ...(of.barred ? [yellow(`Barred by ${of.barred.by}: ${of.barred.reason}`)] : []),
    '',
    metricsTable(of.metrics),
    '',
    table(
      ['', 'gate', ''],
      of.gates.map(({ name, passed, reason }) => [passed ? green('✓') : red('✗'), name, reason]),
    ),
    '',
    `Trainer   ${of.trainer}, ${of.rounds} rounds`,
    `Params    ${
      Object.entries(of.params)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(' ') || dim('none')
    }`,
    `Features  ${of.features.map(({ name, kind }) => (kind === 'category' ? `${name} (category)` : name)).join(', ')}`,
    `Counts    ${of.importance
      .slice(0, 5)
      .map(({ feature, share }) => `${feature} ${(share * 100).toFixed(0)} %`)
      .join(', ')}`,
    '',
    ...lineageText(of),
    `Files     ${addressIn(store, of.folder)}: ${of.files.join(', ')}`,
    ...(of.report ? [`Report    ${addressIn(store, of.report)}`] : []),
    '',
    decisionsText(of.decisions),
    '',
    versionsTable(of.versions),
  ];
  return lines.join('\n');
}

function stateText(state: ModelDescription['state']): string {
  const paint = { champion: green, former: dim, rejected: red, undecided: yellow, incomplete: dim }[state];
  return paint(state);
}

function metricsTable({ test, validate, baseline }: ModelDescription['metrics']): string {
  const figure = (value: number | null) => (value === null ? 'n/a' : value.toFixed(4));
  const rows = (['auc', 'logLoss', 'brier'] as const).map((metric) => [
    metric,
    figure(validate[metric]),
    figure(test[metric]),
    figure(baseline[metric]),
  ]);
  return table(['metric', 'validate', 'test', 'baseline (test)'], rows, [1, 2, 3]);
}

function lineageText({ lineage, sha256 }: ModelDescription): string[] {
  const sources = Object.entries(lineage.sources).map(([source, snapshot]) => `${source} ${snapshot.slice(0, 12)}`);
  return [
    `SHA-256   ${sha256}`,
    `Lineage   spec ${lineage.pipeline.slice(0, 12)}, training set ${lineage.trainingSet.slice(0, 12)}, ${sources.join(', ')}`,
  ];
}

function decisionsText(decisions: ModelDescription['decisions']): string {
  if (decisions.length === 0) return dim('No decision about this version.');
  const rows = decisions.map(({ at, action, by, reason }) => [at.slice(0, 19), action, by, reason]);
  return table(['decided (UTC)', '', 'by', 'reason'], rows);
}

function versionsTable(versions: ModelDescription['versions']): string {
  const rows = versions.map(({ version, state, asOf, metrics }) => [
    `v${version}`,
    stateText(state),
    asOf?.slice(0, 10) ?? '',
    metrics?.auc?.toFixed(4) ?? '',
    metrics?.logLoss.toFixed(4) ?? '',
  ]);
  return table(['version', '', 'as of', 'AUC (test)', 'log loss'], rows, [3, 4]);
}
