/**
 * Files in parts. What was uploaded is seen by nobody until the server is told that it is complete, so a file is there whole
 * or not at all. A failed upload is aborted; of one whose process was killed a note is left on this machine, and whoever
 * uploads the same bytes to the same key next goes on with the parts that the server has.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { RefitError } from '../spec/errors.ts';
import { sha256 } from './digest.ts';
import { isAbandoned, ownerToken } from './process-identity.ts';
import type { Answer, S3Access, S3Calls } from './s3-calls.ts';

/** What is uploaded to where. */
export interface Upload {
  bucket: string;
  /** The whole key, with the store's prefix. */
  key: string;
  path: string;
  bytes: number;
  sha256: string;
  metadata: Record<string, string>;
  /** Headers that make the completion conditional. */
  condition: { IfNoneMatch?: string; IfMatch?: string };
}

/** As the SDK answers, and the metadata that the object has: those of the upload that was resumed. */
export type Uploaded = Answer<{ ETag?: string | undefined }> & { metadata: Record<string, string> };

interface Note {
  owner: string;
  bucket: string;
  key: string;
  uploadId: string;
  partBytes: number;
  metadata: Record<string, string>;
  condition: Upload['condition'];
}

/** S3 takes no more parts. */
const MOST_PARTS = 10_000;
const PARTS_AT_ONCE = 3;
/** Nobody comes back for an upload that was abandoned so long ago. */
const FORGOTTEN_MS = 86_400_000;

/** `notes`: folder for the notes; `partBytes`: at least 5 MiB, S3's least. */
export function createUploads(calls: S3Calls, notes: string, partBytes: number) {
  let tidied = false;

  async function begin(upload: Upload, file: string): Promise<Note> {
    const { bucket, key, bytes, metadata, condition } = upload;
    const left = await readNote(file);
    if (left && isAbandoned(left.owner, Number.POSITIVE_INFINITY) && sameCondition(left.condition, condition)) {
      return write(file, { ...left, owner: ownerToken() });
    }
    const created = await calls.call(`begin to upload ${key}`, ({ client, sdk }) =>
      client.send(
        new sdk.CreateMultipartUploadCommand({
          Bucket: bucket,
          Key: key,
          Metadata: metadata,
          ChecksumAlgorithm: 'CRC32',
        }),
      ),
    );
    const uploadId = created.answer?.UploadId;
    if (uploadId === undefined) throw lost(key);
    const size = Math.max(partBytes, Math.ceil(bytes / MOST_PARTS));
    return write(file, { owner: ownerToken(), bucket, key, uploadId, partBytes: size, metadata, condition });
  }

  async function write(file: string, note: Note): Promise<Note> {
    await mkdir(notes, { recursive: true });
    const draft = `${file}.${note.owner}`;
    await writeFile(draft, JSON.stringify(note));
    await rename(draft, file);
    return note;
  }

  /** Parts that the server has, by number. @returns undefined when it does not know the upload any more */
  async function partsOf({
    bucket,
    key,
    uploadId,
  }: Note): Promise<Map<number, CompletedPart & { Size?: number }> | undefined> {
    const found = new Map<number, CompletedPart & { Size?: number }>();
    for (let marker: string | undefined; ; ) {
      const at = marker === undefined ? {} : { PartNumberMarker: marker };
      const { answer } = await calls.call(`list the parts of ${key}`, ({ client, sdk }) =>
        client.send(new sdk.ListPartsCommand({ Bucket: bucket, Key: key, UploadId: uploadId, ...at })),
      );
      if (!answer) return undefined;
      for (const { PartNumber = 0, ...part } of answer.Parts ?? []) {
        found.set(PartNumber, { ...completed(PartNumber, part), Size: part.Size ?? 0 });
      }
      if (!answer.IsTruncated) return found;
      marker = answer.NextPartNumberMarker;
    }
  }

  /** Uploads what the server does not have yet, some parts at once. */
  async function sendParts(
    note: Note,
    upload: Upload,
    there: Map<number, CompletedPart & { Size?: number }>,
  ): Promise<CompletedPart[]> {
    const count = Math.ceil(upload.bytes / note.partBytes);
    const done = new Array<CompletedPart>(count);
    const file = await open(upload.path, 'r');
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const body = await readAt(
          file,
          index * note.partBytes,
          Math.min(note.partBytes, upload.bytes - index * note.partBytes),
        );
        done[index] = await sendPart(note, index + 1, body, there.get(index + 1));
      }
    };
    const lanes = Array.from({ length: PARTS_AT_ONCE }, () => work().finally(() => (next = count)));
    // All of them, after a failure too: a part that arrives when the upload was aborted would bring it back.
    const ended = await Promise.allSettled(lanes);
    await file.close();
    const failed = ended.find((lane) => lane.status === 'rejected');
    if (failed) throw failed.reason;
    return done;
  }

  async function sendPart(
    note: Note,
    number: number,
    body: Uint8Array,
    there?: CompletedPart & { Size?: number },
  ): Promise<CompletedPart> {
    const { bucket: Bucket, key: Key, uploadId: UploadId } = note;
    if (there?.Size === body.byteLength && bare(there.ETag) === createHash('md5').update(body).digest('hex')) {
      const { Size: _, ...part } = there;
      return part;
    }
    const { answer } = await calls.call(`upload a part of ${Key}`, ({ client, sdk }) =>
      client.send(new sdk.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: number, Body: body })),
    );
    if (!answer) throw lost(Key);
    return completed(number, answer);
  }

  async function complete(
    { bucket: Bucket, key: Key, uploadId: UploadId }: Note,
    upload: Upload,
    parts: CompletedPart[],
  ) {
    return calls.call(`complete the upload of ${Key}`, ({ client, sdk }) =>
      client.send(
        new sdk.CompleteMultipartUploadCommand({
          ...{ Bucket, Key, UploadId, MultipartUpload: { Parts: parts } },
          ...upload.condition,
        }),
      ),
    );
  }

  async function abort({ bucket: Bucket, key: Key, uploadId: UploadId }: Note): Promise<void> {
    const send = ({ client, sdk }: S3Access) =>
      client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    // What cannot be aborted now, nobody sees either; `tidy` and the bucket's own rules come by later.
    await calls.call(`abort the upload of ${Key}`, send).catch(() => undefined);
  }

  /** Aborts what killed processes of this machine left behind and nobody went on with. */
  async function tidy(): Promise<void> {
    if (tidied) return;
    tidied = true;
    for (const name of await readdir(notes).catch(() => [])) {
      const file = join(notes, name);
      const ageMs = Date.now() - ((await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now());
      const note = ageMs > FORGOTTEN_MS ? await readNote(file) : undefined;
      if (!note || !isAbandoned(note.owner, ageMs)) continue;
      await abort(note);
      await rm(file, { force: true });
    }
  }

  return async function uploadFile(upload: Upload): Promise<Uploaded> {
    await tidy();
    const file = join(notes, `${sha256(`${upload.bucket}\n${upload.key}\n${upload.sha256}`)}.json`);
    const before = await markOf(upload.path);
    for (let left = 3; left > 0; left--) {
      const note = await begin(upload, file);
      try {
        const there = await partsOf(note);
        if (there) {
          const parts = await sendParts(note, upload, there);
          if ((await markOf(upload.path)) !== before) throw changed(upload.path);
          const ended = await complete(note, upload, parts);
          if (ended.refused && !ended.unsure) await abort(note);
          // An upload that is unknown after an unheard try was completed by that try.
          if (ended.refused !== 'missing' || ended.unsure || 'IfMatch' in upload.condition) {
            await rm(file, { force: true });
            return { ...ended, metadata: note.metadata };
          }
        }
        // Another process went on with it too, or somebody tidied up: begin anew.
        await rm(file, { force: true });
      } catch (error) {
        await abort(note);
        await rm(file, { force: true });
        throw error;
      }
    }
    throw lost(upload.key);
  };
}

async function readNote(file: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Note;
  } catch {
    return undefined;
  }
}

function sameCondition(a: Upload['condition'], b: Upload['condition']): boolean {
  return a.IfMatch === b.IfMatch && a.IfNoneMatch === b.IfNoneMatch;
}

const bare = (etag: string | undefined): string | undefined => etag?.replaceAll('"', '');

/** What the server wants to hear of a part when the upload is completed. */
function completed(PartNumber: number, part: Omit<CompletedPart, 'PartNumber'>): CompletedPart {
  const { ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumCRC64NVME, ChecksumSHA1, ChecksumSHA256 } = part;
  const told = { ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumCRC64NVME, ChecksumSHA1, ChecksumSHA256 };
  return { PartNumber, ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const body = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(body, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new RefitError('REFIT_SOURCE_CHANGED', 'A file became shorter while it was uploaded.');
    filled += bytesRead;
  }
  return body;
}

async function markOf(path: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
}

function changed(path: string): RefitError {
  return new RefitError('REFIT_SOURCE_CHANGED', `${path} changed while it was uploaded.`, { path });
}

function lost(key: string): RefitError {
  return new RefitError('REFIT_CONFLICT', `The upload of ${key} was ended by somebody else.`, { key });
}
