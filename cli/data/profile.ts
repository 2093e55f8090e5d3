import { Command } from 'commander';
import { compareProfiles } from '../../core/dataset/compare-profiles.ts';
import { lastUpTo, readHistory, type SnapshotEntry } from '../../core/dataset/source-history.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import type { ColumnProfile, SnapshotProfile } from '../../core/spec/artifacts.ts';
import type { DataProfile, SourceProfile } from '../../core/spec/cli.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import type { BlobStore } from '../../core/store/ports.ts';
import { withScratch } from '../features/with-scratch.ts';
import { bold, count, dim, table, yellow } from '../terminal.ts';
import { print } from '../with-stack.ts';
import { chosenSources } from './chosen-sources.ts';

interface Options {
  source?: string;
  asOf?: string;
  json?: boolean;
}

export function profileCommand(): Command {
  return new Command('profile')
    .description('Show the statistics of the snapshots that runs published, and what changed since the one before.')
    .argument('<pipeline>', 'name of a folder under pipelines/')
    .option('--source <name>', 'this source only')
    .option('--as-of <time>', 'the last snapshot up to this logical date, UTC (default: the newest)')
    .option('--json', 'print the profiles as JSON on standard output: all quantiles and frequent values')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(show);
}

const EXAMPLES = `
Examples:
  refit data profile flight-delays
  refit data profile flight-delays --source flights --as-of 2013-11-01
  refit data profile flight-delays --json | jq '.sources[] | {source, notable}'

Profiles are made by runs: this reads them from the store. For a picture of the newest data: refit explore.`;

async function show(pipeline: string, { source, asOf, json }: Options): Promise<void> {
  const limit = asOf === undefined ? undefined : canonicalAsOf(asOf);
  const found = await withScratch(async ({ refit }): Promise<DataProfile> => {
    const spec = await loadPipeline(refit.places.pipelines, pipeline);
    const sources: SourceProfile[] = [];
    for (const name of chosenSources(spec, source)) {
      const profiled = await lastProfile(refit.blobs, { pipeline, source: name, limit });
      if (profiled) sources.push(profiled);
    }
    return { pipeline, sources };
  });
  if (found.sources.length === 0) {
    const when = limit === undefined ? 'yet' : `as of ${limit}`;
    throw new RefitError('REFIT_USAGE', `No run of ${pipeline} has published ${source ?? 'its sources'} ${when}.`);
  }
  print(found, json, () => text(found));
}

/** The last one up to a date, beside the last other snapshot before it; undefined where no run published any. */
async function lastProfile(
  blobs: BlobStore,
  { pipeline, source, limit }: { pipeline: string; source: string; limit: string | undefined },
): Promise<SourceProfile | undefined> {
  const { snapshots } = await readHistory(blobs.objects, pipeline, source);
  const last = limit === undefined ? snapshots.at(-1) : lastUpTo(snapshots, limit);
  if (!last) return undefined;
  const before = snapshots.slice(0, snapshots.indexOf(last)).findLast(({ snapshot }) => snapshot !== last.snapshot);
  const [profile, earlier] = await Promise.all([profileOf(blobs, last), before && profileOf(blobs, before)]);
  const notable = earlier ? compareProfiles(earlier, profile) : [];
  return { source, asOf: last.asOf, comparedWith: before?.asOf ?? null, notable, profile };
}

const profileOf = (blobs: BlobStore, { profile }: SnapshotEntry) => blobs.json<SnapshotProfile>(profile);

function text({ pipeline, sources }: DataProfile): string {
  const parts = sources.map(({ source, asOf, comparedWith, notable, profile }) => {
    const sampled = profile.sampled < profile.rows ? dim(`, quantiles of ${count(profile.sampled)} of them`) : '';
    const since = comparedWith === null ? [] : notable.map((one) => `  ${yellow('≠')} ${one}`);
    const compared = comparedWith === null ? '' : dim(`, compared with ${comparedWith}`);
    return [
      `${bold(source)} as of ${asOf}: ${count(profile.rows)} rows${sampled}${compared}`,
      ...since,
      table(
        ['column', 'type', 'missing', 'distinct', 'min', 'median', 'max', 'most frequent'],
        profile.columns.map((column) => columnRow(column, profile.rows)),
        [2, 3, 4, 5, 6],
      ),
    ].join('\n');
  });
  return [bold(pipeline), ...parts].join('\n\n');
}

/** A value that hardly repeats is no frequent one. */
const RARE = 0.005;

function columnRow(column: ColumnProfile, rows: number): string[] {
  const { name, type, personal, nulls, distinct, min, max, quantiles, top } = column;
  const missing = rows === 0 || nulls === 0 ? '' : `${((100 * nulls) / rows).toPrecision(3)} %`;
  const common = top.slice(0, 3).filter(({ share }) => share >= RARE);
  const frequent = common.map(({ value, share }) => `${value} ${Math.round(100 * share)} %`);
  const last = personal ? 'personal data' : frequent.join(', ');
  return [name, type, missing, count(distinct), ...[min, quantiles?.p50, max].map(figure), dim(last)];
}

function figure(value: number | string | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string'
    ? value.replace('T', ' ').replace(/:00Z$|Z$/, '')
    : String(Number(value.toPrecision(5)));
}
