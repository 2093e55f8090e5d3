import { Command } from 'commander';
import { viewDigest } from '../../core/features/view-digest.ts';
import { listPipelines, loadPipeline } from '../../core/pipeline/load.ts';
import { featureNames } from '../../core/pipeline/view-features.ts';
import type { FeatureViewList } from '../../core/spec/cli.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';
import { digestOf } from '../../core/store/digest.ts';
import { bold, dim, table } from '../terminal.ts';
import { print, withStore } from '../with-stack.ts';

interface Options {
  pipeline?: string;
  json?: boolean;
}

export function listCommand(exit: (status: number) => void): Command {
  return new Command('list')
    .description('List the feature views of all pipelines: digest, features, and which pipelines share them.')
    .option('--pipeline <name>', 'only the views of this one')
    .option('--json', 'print the list as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await list(options)));
}

const EXAMPLES = `
Examples:
  refit features list
  refit features list --pipeline flight-delays
  refit features list --json | jq -r '.views[] | select(.pipelines | length > 1) | .name'

A view that several pipelines declare alike, over a source that they declare alike, is one view with one digest.`;

async function list({ pipeline, json }: Options): Promise<number> {
  const views = await withStore(async ({ places }): Promise<FeatureViewList> => {
    const names = pipeline === undefined ? await listPipelines(places.pipelines) : [pipeline];
    const specs: PipelineSpec[] = [];
    for (const name of names) specs.push(await loadPipeline(places.pipelines, name));
    return { views: viewsOf(specs) };
  });
  print(views, json, () => text(views));
  return 0;
}

function viewsOf(specs: PipelineSpec[]): FeatureViewList['views'] {
  const found = new Map<string, FeatureViewList['views'][number]>();
  for (const spec of specs) {
    for (const view of spec.features) {
      const source = 'source' in view ? view.source : null;
      const digest = viewDigest(view);
      const sourceDigest = source === null ? null : digestOf(spec.sources[source]);
      const known = found.get(`${digest} ${sourceDigest}`);
      if (known) known.pipelines.push(spec.name);
      else {
        const { name, kind } = view;
        const own = { name, kind, digest, source, sourceDigest, features: featureNames(view), pipelines: [spec.name] };
        found.set(`${digest} ${sourceDigest}`, own);
      }
    }
  }
  return [...found.values()];
}

function text({ views }: FeatureViewList): string {
  const rows = views.map(({ name, kind, digest, source, features, pipelines }) => [
    bold(name),
    kind,
    source ?? '',
    dim(digest.slice(0, 12)),
    features.join(', '),
    pipelines.join(', '),
  ]);
  return table(['view', 'kind', 'source', 'digest', 'features', 'pipelines'], rows, []);
}
