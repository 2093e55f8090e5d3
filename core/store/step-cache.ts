/**
 * The step cache: a step's result is stored under the hash of everything it depends on, create-only, so that a crash, a retry
 * or a second run finds what is there and racing attempts agree. What is found is believed only when the record is whole and
 * every blob it names has the bytes it is named for; anything else counts as absent and is made anew.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Static } from 'typebox';
import Type from 'typebox';
import Value from 'typebox/value';
import { BlobRef } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { blobsIn } from './blobs.ts';
import { createCheckpoints } from './checkpoints.ts';
import { getOrDamage } from './damage.ts';
import { canonicalJson, digestOf } from './digest.ts';
import { createLanes } from './lanes.ts';
import { releasingLocalFiles } from './local-files.ts';
import type { BlobStore } from './ports.ts';
import { isAbandoned, ownerToken } from './process-identity.ts';
import type { Native, Step } from './step.ts';
import { storeError } from './store-errors.ts';

/** What stands in `steps/<step>/<key>.json`. */
export const StepRecord = Type.Object({
  step: Type.String(),
  version: Type.Integer(),
  key: Type.String(),
  /** Versions of the native libraries that shape the result. */
  natives: Type.Record(Type.String(), Type.String()),
  inputDigest: Type.String(),
  input: Type.Unknown(),
  output: Type.Unknown(),
  /** Every blob named in the output. */
  blobs: Type.Array(BlobRef),
  /** Time the step itself took. */
  seconds: Type.Number(),
  createdAt: Type.String(),
  /** Token of the run that demanded this result anew. */
  forcedBy: Type.Optional(Type.String()),
  /** Digest of all the rest: an altered record is noticed. */
  digest: Type.String(),
});
export type StepRecord = Static<typeof StepRecord>;

/** `seconds`: how long this call took, whether it worked or only looked up. */
export interface StepResult<Output> {
  output: Output;
  key: string;
  cached: boolean;
  seconds: number;
}

export interface StepRunOptions {
  signal: AbortSignal;
  progress?: (details: Record<string, unknown>) => void;
  /** Token of a run that wants the step done anew; an attempt with a token that is served already finds that result. */
  force?: string | undefined;
}

export interface StepCache {
  /** Finds the result or makes it. @throws the signal's reason on cancel, what the step throws, RefitError of the store */
  run<Input, Output>(step: Step<Input, Output>, input: Input, options: StepRunOptions): Promise<StepResult<Output>>;
  find<Input, Output>(step: Step<Input, Output>, input: Input): Promise<StepResult<Output> | undefined>;
  /** Hex digest of step name, step version, input and the versions of the natives that the step names. */
  key<Input, Output>(step: Step<Input, Output>, input: Input): string;
}

export interface StepCacheDeps {
  blobs: BlobStore;
  versions: Record<Native, string>;
  /** Folder for the scratch folders of attempts; on a disk with room for what steps write. */
  scratchRoot: string;
  now?: () => Date;
}

/** A snapshot may have a thousand partitions, and each look takes a moment where the store is far away. */
const VERIFIED_AT_ONCE = 16;

type AnyStep = Step<never, unknown>;
/** What lies under a step's key: a record that holds, or the etag of something broken. */
type Found = { record: StepRecord; etag: string } | { record: undefined; etag: string } | undefined;

/** @throws RefitError REFIT_STORE_UNWRITABLE when there can be no scratch folder */
export function createStepCache({ blobs, versions, scratchRoot, now = () => new Date() }: StepCacheDeps): StepCache {
  const lanes = createLanes();
  openScratchRoot(scratchRoot);

  const nativesOf = (step: AnyStep): Record<string, string> =>
    Object.fromEntries(step.natives.map((native) => [native, versions[native]]));
  const keyOf = (step: AnyStep, input: unknown): string =>
    digestOf({ step: step.name, version: step.version, input, natives: nativesOf(step) });

  async function lookUp(step: AnyStep, key: string): Promise<Found> {
    const object = await getOrDamage(blobs.objects, recordKey(step, key));
    if (!object) return undefined;
    const record = object.body && parseRecord(object.body);
    if (record?.step !== step.name || record.key !== key) return { record: undefined, etag: object.etag };
    const refs = blobsIn(record.output);
    for (let at = 0; at < refs.length; at += VERIFIED_AT_ONCE) {
      const whole = await Promise.all(refs.slice(at, at + VERIFIED_AT_ONCE).map((ref) => blobs.verify(ref)));
      if (whole.includes(false)) return { record: undefined, etag: object.etag };
    }
    return { record, etag: object.etag };
  }

  /** Runs the step in a scratch folder of its own. */
  async function perform<Input>(step: Step<Input, unknown>, input: Input, key: string, options: StepRunOptions) {
    const scratch = join(scratchRoot, ownerToken());
    const { signal, progress = () => undefined } = options;
    const started = performance.now();
    try {
      await mkdir(scratch, { recursive: true });
      const output = await releasingLocalFiles(() => step.run(input, { blobs, scratch, signal, progress, key }));
      signal.throwIfAborted();
      // Through JSON, so that the first run hands out exactly what later ones will find.
      return { output: JSON.parse(canonicalJson(output)) as unknown, seconds: secondsSince(started) };
    } catch (error) {
      // A child process that was stopped by the cancel reports its own failure: the cancel is the cause.
      signal.throwIfAborted();
      throw storeError(error, scratch);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  /** Publishes where nothing (or something to be replaced) is; otherwise the record that got there first stands. */
  async function publish(step: AnyStep, record: StepRecord, before: Found): Promise<StepRecord> {
    const body = new TextEncoder().encode(`${canonicalJson(record)}\n`);
    const isServed = (there: StepRecord): boolean => !record.forcedBy || there.forcedBy === record.forcedBy;
    let there = before;
    for (let left = 8; left > 0; left--) {
      const condition = there ? { ifMatch: there.etag } : ({ create: true } as const);
      if ((await blobs.objects.put(recordKey(step, record.key), body, condition)) !== undefined) return record;
      there = await lookUp(step, record.key);
      if (there?.record && isServed(there.record)) return there.record;
    }
    throw new RefitError('REFIT_CONFLICT', `The result of step ${step.name} is being changed by others all the time.`, {
      key: record.key,
    });
  }

  async function makeAnew<Input>(
    step: Step<Input, unknown>,
    input: Input,
    key: string,
    options: StepRunOptions,
    before: Found,
  ) {
    const { output, seconds } = await perform(step, input, key, options);
    const fresh = {
      ...{ step: step.name, version: step.version, key, natives: nativesOf(step) },
      ...{
        inputDigest: digestOf(input),
        input,
        output,
        blobs: blobsIn(output),
        seconds,
        createdAt: now().toISOString(),
      },
    };
    // A forced run that comes to the same result keeps the record and only signs it with its token.
    const kept = before?.record && digestOf(before.record.output) === digestOf(output) ? before.record : fresh;
    const record = sealed({ ...kept, ...(options.force === undefined ? {} : { forcedBy: options.force }) });
    const published = await publish(step, record, before);
    await createCheckpoints(blobs.objects, step.name, key).clear();
    return published.output;
  }

  return {
    key: keyOf,
    async find<Input, Output>(step: Step<Input, Output>, input: Input) {
      const started = performance.now();
      const key = keyOf(step, input);
      const record = (await lookUp(step, key))?.record;
      return record && { output: record.output as Output, key, cached: true, seconds: secondsSince(started) };
    },
    async run<Input, Output>(step: Step<Input, Output>, input: Input, options: StepRunOptions) {
      const started = performance.now();
      const key = keyOf(step, input);
      options.signal.throwIfAborted();
      return lanes(`${step.name}/${key}`, options.signal, async () => {
        const found = await lookUp(step, key);
        const record = found?.record;
        const served = record && (options.force === undefined || record.forcedBy === options.force);
        const output = served ? record.output : await makeAnew(step, input, key, options, found);
        const cached = served === true && options.force === undefined;
        return { output: output as Output, key, cached, seconds: secondsSince(started) };
      });
    },
  };
}

function recordKey(step: AnyStep, key: string): string {
  return `steps/${step.name}/${key}.json`;
}

function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}

function sealed(record: Omit<StepRecord, 'digest'> & { digest?: string }): StepRecord {
  const { digest: _, ...rest } = record;
  return { ...rest, digest: digestOf(rest) };
}

/** The record if it is whole; undefined for anything else. */
function parseRecord(body: Uint8Array): StepRecord | undefined {
  try {
    const record: unknown = JSON.parse(new TextDecoder().decode(body));
    return Value.Check(StepRecord, record) && sealed(record).digest === record.digest ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the folder and removes the scratch of attempts whose process died. */
function openScratchRoot(scratchRoot: string): void {
  try {
    mkdirSync(scratchRoot, { recursive: true });
    for (const name of readdirSync(scratchRoot)) {
      const path = join(scratchRoot, name);
      const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (isAbandoned(name, ageMs)) rmSync(path, { recursive: true, force: true });
    }
  } catch (error) {
    throw storeError(error, scratchRoot);
  }
}
