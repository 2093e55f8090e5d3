/**
 * A segment of the prediction log: a file of JSON lines on this machine, all of one hour (UTC). Its name says which hour and
 * who writes it, so that whoever finds it later knows whether its writer is gone.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { isAbandoned, ownerToken } from '../core/store/process-identity.ts';
import { systemCode } from '../core/store/store-errors.ts';

export interface SegmentName {
  file: string;
  /** `2026-11-21T07` */
  hour: string;
  /** Unique for good; names the segment's Parquet files too. */
  token: string;
}

export interface Segment extends SegmentName {
  rows: number;
  bytes: number;
  /** Adds whole lines and syncs them to disk; all of them or none. @throws the system's errors, e.g. ENOSPC */
  append(lines: readonly string[]): Promise<void>;
  /** Says that we are alive to those who cannot ask. */
  touch(): Promise<void>;
  close(): Promise<void>;
}

export async function createSegment(folder: string, hour: string): Promise<Segment> {
  const token = ownerToken();
  const file = path.join(folder, `${hour}.${token}.ndjson`);
  const handle = await open(file, 'ax');
  const segment: Segment = {
    ...{ file, hour, token, rows: 0, bytes: 0 },
    async append(lines) {
      const text = Buffer.from(`${lines.join('\n')}\n`);
      try {
        await writeWhole(handle, text);
        await handle.datasync();
      } catch (error) {
        // Half of it may be there: the file goes back to where it was whole.
        await handle.truncate(segment.bytes).catch(() => undefined);
        throw error;
      }
      segment.bytes += text.length;
      segment.rows += lines.length;
    },
    touch: () => handle.utimes(new Date(), new Date()),
    close: () => handle.close(),
  };
  return segment;
}

async function writeWhole(handle: FileHandle, text: Buffer): Promise<void> {
  for (let at = 0; at < text.length; ) {
    const { bytesWritten } = await handle.write(text, at);
    at += bytesWritten;
  }
}

/** Segments whose writer is gone, oldest first; their last line may be torn, see `mendSegment`. */
export async function abandonedSegments(folder: string): Promise<SegmentName[]> {
  const found: SegmentName[] = [];
  const names: string[] = await readdir(folder).catch(() => []);
  for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
    const [, hour, token] = /^(\d{4}-\d{2}-\d{2}T\d{2})\.([0-9a-f.]+)\.ndjson$/.exec(name) ?? [];
    if (!hour || !token) continue;
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => undefined);
    if (info && isAbandoned(token, Date.now() - info.mtimeMs)) found.push({ file, hour, token });
  }
  return found;
}

/** Cuts off a last line that was never finished. Safe to repeat, and for several processes at once. */
export async function mendSegment(file: string): Promise<void> {
  const { size } = await stat(file);
  let whole = 0;
  let at = 0;
  for await (const chunk of createReadStream(file)) {
    const last = (chunk as Buffer).lastIndexOf(10);
    if (last >= 0) whole = at + last + 1;
    at += (chunk as Buffer).length;
  }
  if (whole < size) await truncate(file, whole);
}

export const removeSegment = ({ file }: SegmentName): Promise<void> => rm(file, { force: true });

/** Whether another process has dealt with the segment already. */
export async function isGone({ file }: SegmentName): Promise<boolean> {
  return (await stat(file).catch((error: unknown) => systemCode(error))) === 'ENOENT';
}
