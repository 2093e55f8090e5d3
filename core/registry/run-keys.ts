/**
 * Idempotency keys of runs: who comes with a key first claims it for what was asked, and the result is kept under it for good,
 * longer than any server remembers the run.
 */
import type { Static } from 'typebox';
import Type from 'typebox';
import { RefitError } from '../spec/errors.ts';
import { RunInput, RunResult } from '../spec/run.ts';
import { canonicalAsOf } from '../spec/time.ts';
import { digestOf, sha256 } from '../store/digest.ts';
import type { ObjectStore } from '../store/ports.ts';
import { readJson, writeJson } from './json-object.ts';

/** `runs/<pipeline>/keys/<hash of the key>/claim.json` */
const Claim = Type.Object({ key: Type.String(), input: RunInput });
type Claim = Static<typeof Claim>;

const folderOf = (pipeline: string, key: string): string =>
  `runs/${pipeline}/keys/${sha256(new TextEncoder().encode(key))}`;

/**
 * Claims a key for a run. @returns the result that was recorded under it, if it has one already
 * @throws RefitError REFIT_KEY_REUSED when the key was claimed for something else; REFIT_REGISTRY_DAMAGED
 */
export async function claimKey(objects: ObjectStore, key: string, input: RunInput): Promise<RunResult | undefined> {
  const folder = folderOf(input.pipeline, key);
  const claim: Claim = { key, input: asked(input) };
  await writeJson(objects, `${folder}/claim.json`, claim, { create: true });
  const standing = (await readJson(objects, `${folder}/claim.json`, Claim))?.value ?? claim;
  if (digestOf(asked(standing.input)) !== digestOf(claim.input)) {
    throw new RefitError(
      'REFIT_KEY_REUSED',
      `The key "${key}" was first used for ${JSON.stringify(standing.input)}; this start asks for ${JSON.stringify(claim.input)}.`,
      { first: standing.input },
    );
  }
  return (await readJson(objects, `${folder}/result.json`, RunResult))?.value;
}

/** Keeps a result under its key; the first one stands. @returns the one that stands */
export async function recordUnderKey(
  objects: ObjectStore,
  pipeline: string,
  key: string,
  result: RunResult,
): Promise<RunResult> {
  const at = `${folderOf(pipeline, key)}/result.json`;
  await writeJson(objects, at, result, { create: true });
  return (await readJson(objects, at, RunResult))?.value ?? result;
}

/** What was asked for, however it was typed; why is not part of it. */
function asked({ pipeline, asOf, set, force, from }: RunInput): RunInput {
  return {
    pipeline,
    ...(asOf === undefined ? {} : { asOf: canonicalAsOf(asOf) }),
    ...(set && Object.keys(set).length > 0 ? { set } : {}),
    ...(force ? { force } : {}),
    ...(from ? { from } : {}),
  };
}
