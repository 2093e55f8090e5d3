/** A pipelines folder in a temporary place, and a pipeline small enough to be broken in one spot. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { definePipeline, fields, gbdt, latest, parquet, window } from '../../core/spec/index.ts';
import type { PipelineSpec } from '../../core/spec/pipeline.ts';

export interface PipelinesFolder {
  folder: string;
  /** Writes files below the folder: path → text. */
  write(files: Record<string, string>): Promise<void>;
  remove(): Promise<void>;
}

export async function createPipelines(): Promise<PipelinesFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'refit-pipelines-'));
  return {
    folder,
    async write(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), text);
      }
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

export const CONTRACT = '{ "type": "object", "properties": { "id": { "type": "integer" } } }';

/** `pipeline.ts` of a pipeline of that name; `model` is put into `gbdt(…)`. */
export const pipelineText = (name: string, model = '{ rounds: 50 }') => `
  import { definePipeline, fields, gbdt, parquet } from 'refit/spec';
  export default definePipeline({
    name: '${name}',
    question: 'Late?',
    sources: { trips: parquet('data/trips.parquet', { contract: 'trips.schema.json', eventTime: 'leaves' }) },
    spine: { from: 'trips', key: ['id'], predictAt: 'leaves', label: 'delay > 5', labelKnownAt: 'arrives' },
    features: [fields('trips', ['id'])],
    split: { test: '10d', validate: '5d', train: { min: '10d', max: '60d' } },
    model: gbdt(${model}),
  });`;

/** A whole pipeline as plain JSON, with every kind of view. */
export function pipelineSpec(): PipelineSpec {
  const source = (eventTime?: string) => parquet('data/x.parquet', { contract: 'x', ...(eventTime && { eventTime }) });
  const draft = definePipeline({
    name: 'trips',
    question: 'Late?',
    asOf: 'latest',
    sources: { trips: source('leaves'), towns: source() },
    spine: { from: 'trips', key: ['id'], predictAt: 'leaves', label: 'delay > 5', labelKnownAt: 'arrives' },
    features: [
      fields('trips', ['town']),
      latest('towns', { by: { town: 'name' }, fields: ['size'], ttl: '6h' }),
      window('trips', { by: 'town', over: '2h', aggregate: { mean: 'avg(delay)' } }),
    ],
    split: { test: '10d', validate: '5d', train: { min: '10d', max: '60d' } },
    model: gbdt({ params: { num_leaves: 31 } }),
    search: { trials: 2, space: { num_leaves: { min: 7, max: 63, int: true } } },
  });
  const sources = Object.entries(draft.sources).map(([name, one]) => [name, { ...one, contract: {} }]);
  return JSON.parse(JSON.stringify({ ...draft, sources: Object.fromEntries(sources) })) as PipelineSpec;
}
