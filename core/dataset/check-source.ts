import type { SchemaChange } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { StepContext } from '../store/step.ts';
import { type Judgement, judgeSnapshot } from './judge-snapshot.ts';
import { type SourceOfRun, schemaNews } from './publish-checked.ts';
import { nothingKnown } from './publish-snapshot.ts';
import { complaints } from './refusals.ts';
import { incompatible } from './schema-change.ts';
import { byName, unionColumns } from './snapshot-columns.ts';
import { readHistory } from './source-history.ts';

/** What a run would say of a source, all of it, without publishing or recording anything. */
export interface SourceFindings {
  /** Absent where the partitions do not fit together, or there are none. */
  judgement?: Judgement;
  changes: SchemaChange[];
  /** Why a run would refuse it, the first being what it would fail with; empty where it would not. */
  complaints: RefitError[];
}

type Context = Pick<StepContext, 'blobs' | 'scratch' | 'signal'>;

/** @throws RefitError REFIT_CONTRACT_INVALID and those of the store */
export async function checkSource(of: SourceOfRun, context: Context): Promise<SourceFindings> {
  const { pipeline, source, spec, asOf, references } = of;
  const partitions = byName(of.partitions);
  if (partitions.length === 0) return { changes: [], complaints: [nothingKnown(source, asOf, null)] };
  try {
    const columns = unionColumns(source, partitions);
    const news = schemaNews(of, await readHistory(context.blobs.objects, pipeline, source));
    const refusal = news.since === null ? undefined : incompatible({ source, asOf, since: news.since }, news.changes);
    const input = { source, asOf, partitions, contract: spec.contract, ...(references ? { references } : {}) };
    const judgement = await judgeSnapshot(input, columns, context);
    const { maxBadShare, freshness } = spec;
    const judged = { source, asOf, partitions, maxBadShare, ...(freshness === undefined ? {} : { freshness }) };
    const refused = refusal && !news.accepted ? [refusal] : [];
    return { judgement, changes: news.changes, complaints: [...refused, ...complaints(judged, judgement)] };
  } catch (error) {
    if (error instanceof RefitError && error.code === 'REFIT_CONTRACT_TYPE')
      return { changes: [], complaints: [error] };
    throw error;
  }
}
