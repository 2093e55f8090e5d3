import type { Refit } from '../core/compose/refit.ts';
import { addressIn } from '../core/compose/refit.ts';
import { exploreData } from '../core/exploration/explore-data.ts';
import { publishExploration } from '../core/exploration/publish-exploration.ts';
import type { Done } from '../core/spec/activities.ts';
import type { Exploration, Explored } from '../core/spec/exploration.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { OfData } from './features.ts';
import { runStep } from './run-step.ts';

export type ExploreActivities = ReturnType<typeof createExploreActivities>;

const LIMIT = 0.9;

export function createExploreActivities({ blobs, cache, places }: Refit) {
  return {
    /** Looks at all that a training set would be made of, and writes the page. */
    async exploreData(input: OfData & { limit?: number }): Promise<Done<Omit<Explored, 'cached' | 'seconds'>>> {
      const { name: pipeline, question, spine, features: views } = await blobs.json<PipelineSpec>(input.spec);
      const { asOf, snapshots, limit = LIMIT } = input;
      const data = await runStep(cache, exploreData, { spine, views, asOf, snapshots, limit });
      const { figures } = data.output;
      const page = await runStep(cache, publishExploration, { pipeline, question, asOf, figures });
      const { features, suspects, sources, rows, labelled, positives } = await blobs.json<Exploration>(figures);
      const output = {
        ...{ pipeline, asOf, page: addressIn(places, page.output.page), rows, labelled, positives, suspects },
        features: features.map(({ name, kind, view, missing, distinct, auc, notes }) => {
          return { name, kind, view, missing, distinct, auc, notes };
        }),
        sources: sources.map(({ name, files, rows: known, rejected, snapshot }) => {
          return { name, files, rows: known, rejected, snapshot };
        }),
      };
      return { output, cached: data.cached && page.cached, seconds: data.seconds + page.seconds };
    },
  };
}
