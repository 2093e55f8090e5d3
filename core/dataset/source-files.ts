import path from 'node:path';
import type { SourceSpec } from '../spec/pipeline.ts';
import type { FileCache } from '../store/file-cache.ts';
import { createS3Client } from '../store/s3-client.ts';
import { fingerprintFile, listPartitions, noFile, type PartitionFile } from './partitions.ts';
import type { PiiKey } from './pii-key.ts';
import { createRemoteFiles } from './remote-files.ts';
import { fetchObject, listObjects } from './s3-files.ts';
import { listTable } from './table-source.ts';

/** Files of sources, wherever they are: below the project's root, or objects of an S3 bucket (`s3://…`). */
export interface SourceFiles {
  /** Sorted by name. @throws RefitError REFIT_SOURCE_MISSING when there is none, REFIT_SOURCE_UNREACHABLE */
  list(source: string, spec: SourcePlace, signal?: AbortSignal): Promise<PartitionFile[]>;
  /** SHA-256, hex, of a file as it is now. */
  fingerprint(file: PartitionFile, signal?: AbortSignal): Promise<string>;
  /** A local file to copy the bytes with that digest from; one of the project's may have changed since. @throws REFIT_SOURCE_CHANGED */
  path(name: string, sha256: string, signal?: AbortSignal): Promise<string>;
}

export type SourcePlace = Pick<SourceSpec, 'path'> & Partial<Pick<SourceSpec, 'format' | 'table'>>;

/** What steps that read sources are given; without `files`, they read those below `root`. */
export interface SourceOrigin {
  root: string;
  files?: SourceFiles;
  /** What personal data is hashed with. */
  piiKey?: PiiKey | undefined;
}

export function filesOf({ root, files }: SourceOrigin): SourceFiles {
  return files ?? localFiles(root);
}

function localFiles(root: string): SourceFiles {
  return {
    list: (source, spec) => listPartitions(root, source, spec),
    fingerprint: (file) => fingerprintFile(file.path),
    path: async (name) => path.resolve(root, name),
  };
}

/** Rows of a database. */
const isTable = (spec: SourcePlace): boolean => spec.table !== undefined;
const isRemote = (name: string): boolean => name.startsWith('s3://');

/** Files of the project and of S3, whose objects are kept in `cache` by their content. */
export function createSourceFiles(root: string, cache: FileCache, env: NodeJS.ProcessEnv = process.env): SourceFiles {
  const local = localFiles(root);
  let client: ReturnType<typeof createS3Client> | undefined;
  const s3 = () => (client ??= createS3Client(env));
  const remote = createRemoteFiles(cache, fetchObject(s3));
  return {
    async list(source, spec, signal) {
      if (isTable(spec)) {
        const { format, table } = spec;
        return listTable({ root, source, env, signal }, { path: spec.path, format, table }, remote);
      }
      if (!isRemote(spec.path)) return local.list(source, spec);
      const objects = await listObjects(await s3(), spec.path);
      if (objects.length === 0) throw noFile(source, spec.path, root);
      return objects.map(({ address, version, bytes }) => ({ name: address, path: address, bytes, version }));
    },
    fingerprint: async (file, signal) =>
      file.sha256 ??
      (isRemote(file.name)
        ? remote.fingerprint({ address: file.name, version: file.version ?? '' }, signal)
        : local.fingerprint(file, signal)),
    path: async (name, digest, signal) => {
      if (isRemote(name)) return remote.path(name, digest, signal);
      // Copies of tables are known by their content alone.
      return (await remote.kept(digest)) ?? local.path(name, digest, signal);
    },
  };
}
