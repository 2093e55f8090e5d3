import { Command } from 'commander';
import { listModels, summariseModel } from '../core/registry/describe.ts';
import type { ModelList } from '../core/spec/cli.ts';
import { bold, dim, say, table } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function modelsCommand(exit: (status: number) => void): Command {
  return new Command('models')
    .description('List the models: champion, its quality, versions, last decision.')
    .option('--json', 'print the list as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json }: { json?: boolean }) => exit(await models(json)));
}

const EXAMPLES = `
Examples:
  refit models
  refit models --json | jq -r '.models[] | "\\(.model) \\(.champion.version)"'`;

async function models(json: boolean | undefined): Promise<number> {
  const list = await withStore(async ({ objects }): Promise<ModelList> => {
    const found: ModelList['models'] = [];
    for (const model of await listModels(objects)) found.push(await summariseModel(objects, model));
    return { models: found };
  });
  if (list.models.length === 0) say(dim('No models yet: a run registers the first.'));
  if (json || list.models.length > 0) print(list, json, () => modelsTable(list.models));
  return 0;
}

function modelsTable(models: ModelList['models']): string {
  const figure = (value: number | null | undefined) => value?.toFixed(4) ?? '';
  const rows = models.map(({ model, champion, metrics, versions, lastDecision }) => [
    bold(model),
    champion ? `v${champion.version}` : dim('none'),
    champion?.asOf.slice(0, 10) ?? '',
    figure(metrics?.auc),
    figure(metrics?.logLoss),
    String(versions),
    lastDecision
      ? `${lastDecision.action} v${lastDecision.version} by ${lastDecision.by}, ${lastDecision.at.slice(0, 16).replace('T', ' ')}`
      : '',
  ]);
  const head = ['model', 'champion', 'as of', 'AUC (test)', 'log loss', 'versions', 'last decision (UTC)'];
  return table(head, rows, [3, 4, 5]);
}
