/** The things that stages read and write, named as OpenLineage names files and buckets. */
import path from 'node:path';
import type { OpenLineageDataset } from '../spec/openlineage.ts';
import type { SourceSpec } from '../spec/pipeline.ts';

/** What a dataset is called. */
export type DatasetName = Pick<OpenLineageDataset, 'namespace' | 'name'>;

/** A key of the store: `file` and a path, or `s3://bucket` and the rest. */
export function inStore(address: string, key: string): DatasetName {
  const bucket = /^(s3:\/\/[^/]+)\/?(.*)$/.exec(address);
  if (bucket) return { namespace: bucket[1] ?? '', name: [bucket[2], key].filter(Boolean).join('/') };
  return { namespace: 'file', name: path.posix.join(address.replace(/^file:(\/\/)?/, ''), key) };
}

export const snapshotName = (address: string, source: string) => inStore(address, `datasets/${source}`);
export const trainingSetName = (address: string, pipeline: string) => inStore(address, `training-sets/${pipeline}`);
export const candidateName = (address: string, pipeline: string) => inStore(address, `candidates/${pipeline}`);
export const modelName = (address: string, pipeline: string) => inStore(address, `models/${pipeline}`);
export const reportName = (address: string, pipeline: string) => inStore(address, `reports/${pipeline}`);

/** Where a source's rows come from: its path (or pattern), absolute; a bucket; else the source by its own name. */
export function rawName(root: string, pipeline: string, source: string, spec: SourceSpec | undefined): DatasetName {
  const place = (spec as { path?: unknown } | undefined)?.path;
  if (typeof place !== 'string') return { namespace: 'refit', name: `${pipeline}/sources/${source}` };
  const bucket = /^(s3:\/\/[^/]+)\/(.*)$/.exec(place);
  if (bucket) return { namespace: bucket[1] ?? '', name: bucket[2] ?? '' };
  return { namespace: 'file', name: path.resolve(root, place) };
}
