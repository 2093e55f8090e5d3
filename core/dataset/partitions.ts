import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { RefitError } from '../spec/errors.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import { fileDigest } from '../store/digest.ts';
import { hasWildcard, partPattern } from './glob.ts';

/** A file of a source, found but not read. */
export interface PartitionFile {
  /** Relative to the project's root with `/`, e.g. `data/nycflights13/flights/2013-01.parquet`; or an address (`s3://…`). */
  name: string;
  /** Where it lies on this machine; its address where it does not. */
  path: string;
  bytes: number;
  /** Of a file elsewhere: changes whenever its bytes do. */
  version?: string;
  /** Where it is known already: it was read when it was listed. */
  sha256?: string;
}

/**
 * Files that match a source's glob, sorted by name. `*` and `?` stay within a path segment, `**` spans any number of them;
 * none matches a name that begins with a dot. @throws RefitError REFIT_SOURCE_MISSING when nothing matches
 */
export async function listPartitions(
  root: string,
  source: string,
  spec: Pick<SourceSpec, 'path'>,
): Promise<PartitionFile[]> {
  const segments = path.posix.normalize(spec.path).split('/');
  const absolute = segments[0] === '';
  const names = await match(absolute ? '/' : root, absolute ? segments.slice(1) : segments, absolute ? '/' : '');
  const files: PartitionFile[] = [];
  for (const name of [...new Set(names)].sort()) {
    const full = path.resolve(root, name);
    const found = await stat(full).catch(() => undefined);
    if (found?.isFile()) files.push({ name, path: full, bytes: found.size });
  }
  if (files.length > 0) return files;
  throw noFile(source, spec.path, root);
}

/** Nothing matches the path of a source. */
export function noFile(source: string, glob: string, root: string): RefitError {
  const other = /[[\]{}]/.test(glob) ? ' (only *, ? and ** are wildcards)' : '';
  const message = `Source "${source}" has no file: nothing matches ${glob}${other}.`;
  return new RefitError('REFIT_SOURCE_MISSING', message, { source, glob, root });
}

/** Names below `folder` that match the segments; `prefix` is put before each. */
async function match(folder: string, segments: string[], prefix: string): Promise<string[]> {
  const [segment = '', ...rest] = segments;
  if (segment !== '**' && !hasWildcard(segment)) {
    // A plain name needs no listing: the folder above may not be readable.
    const name = `${prefix}${segment}`;
    return rest.length === 0 ? [name] : match(path.join(folder, segment), rest, `${name}/`);
  }
  const entries = (await readdir(folder, { withFileTypes: true }).catch(() => [])).filter(
    ({ name }) => !name.startsWith('.'),
  );
  if (segment === '**') {
    const below = entries
      // Links are not followed here: they could lead in a circle.
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => match(path.join(folder, name), segments, `${prefix}${name}/`));
    const here = rest.length === 0 ? entries.map(({ name }) => `${prefix}${name}`) : await match(folder, rest, prefix);
    return [...here, ...(await Promise.all(below)).flat()];
  }
  const pattern = partPattern(segment);
  const hits = entries.map(({ name }) => name).filter((name) => pattern.test(name));
  if (rest.length === 0) return hits.map((name) => `${prefix}${name}`);
  return (await Promise.all(hits.map((name) => match(path.join(folder, name), rest, `${prefix}${name}/`)))).flat();
}

/**
 * SHA-256 (hex) of a file's bytes, read as a stream; remembered by this process while inode, size and times stay the same.
 * @throws RefitError REFIT_SOURCE_MISSING, REFIT_SOURCE_UNREADABLE
 */
export async function fingerprintFile(file: string): Promise<string> {
  try {
    return (await fileDigest(file)).sha256;
  } catch (error) {
    throw fileError(error, file);
  }
}

/** The system's error about a source file in the catalogue's words. */
export function fileError(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new RefitError('REFIT_SOURCE_MISSING', `${file} is not there any more.`, { file }, { cause: error });
  }
  if (code === 'EACCES' || code === 'EISDIR' || code === 'EIO') {
    return new RefitError('REFIT_SOURCE_UNREADABLE', `${file} cannot be read: ${code}.`, { file }, { cause: error });
  }
  return error;
}
