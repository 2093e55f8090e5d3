import { createHash } from 'node:crypto';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';
import type { RunInput } from '../core/spec/run.ts';
import { canonicalAsOf } from '../core/spec/time.ts';

const FIELDS = ['pipeline', 'asOf', 'set', 'force', 'from', 'key', 'reason'];
const KEY = /^[A-Za-z0-9._:-]{1,128}$/;

/** The shape of a request, whatever the compiler knows of its pipeline. */
interface LooseRequest {
  pipeline: string;
  asOf?: string | Date | undefined;
  set?: object | undefined;
  force?: boolean | undefined;
  from?: RunInput['from'] | undefined;
  key?: string | undefined;
  reason?: string | undefined;
}

/**
 * The workflow's argument for a request: absent and empty fields left out, `asOf` canonical.
 * @throws RefitError REFIT_USAGE, REFIT_AS_OF_INVALID. What only the pipeline can tell (its name, its settings) the run tells.
 */
export function runInput(request: LooseRequest): RunInput {
  const { pipeline, asOf, set, force, from, key, reason } = request;
  const stranger = Object.keys(request).find((name) => !FIELDS.includes(name));
  if (stranger !== undefined) {
    throw new RefitError('REFIT_USAGE', `A run has no argument "${stranger}"${nearest(stranger, FIELDS)}.`);
  }
  if (typeof pipeline !== 'string' || pipeline === '') {
    throw new RefitError('REFIT_USAGE', 'A run needs the name of its pipeline, e.g. { pipeline: "flight-delays" }.');
  }
  if (key !== undefined && !KEY.test(key)) {
    throw new RefitError('REFIT_USAGE', `"${key}" is no key: use up to 128 letters, digits, dots, dashes, colons, _.`);
  }
  const settings = Object.fromEntries(Object.entries(set ?? {}).filter(([, value]) => value !== undefined));
  return {
    pipeline,
    ...(asOf === undefined ? {} : { asOf: canonicalAsOf(asOf instanceof Date ? isoOf(asOf) : asOf) }),
    ...(Object.keys(settings).length === 0 ? {} : { set: settings }),
    ...(force ? { force } : {}),
    ...(from === undefined ? {} : { from }),
    ...(key === undefined ? {} : { key }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function isoOf(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new RefitError('REFIT_AS_OF_INVALID', 'asOf is an invalid Date.');
  return date.toISOString();
}

/**
 * Workflow id of a run: whoever asks for the same has the same id and joins it, e.g. `train/flight-delays/2014-01-01`,
 * `train/flight-delays/latest/set-1f0c2b7a9d3e`, `train/flight-delays/2014-01-01/key-order-17`. With a key, the key alone is
 * the suffix, so that its use with another argument meets the first run and can be refused.
 */
export function workflowIdOf(input: RunInput): string {
  const { pipeline, asOf, set, force, from, key } = input;
  const date = asOf === undefined ? 'latest' : asOf.replace(/T00:00:00Z$/, '');
  const suffixes =
    key === undefined
      ? [...(set ? [`set-${digest(set)}`] : []), ...(force ? ['force'] : []), ...(from ? [`from-${from}`] : [])]
      : [`key-${key}`];
  return ['train', pipeline, date, ...suffixes].join('/');
}

/** What two starts with one key must have in common: everything but the reason. */
export function sameRequest(one: unknown, other: unknown): boolean {
  return canonicalJson(essence(one)) === canonicalJson(essence(other));
}

function essence(input: unknown): unknown {
  const { reason: _, ...rest } = input as RunInput;
  return rest;
}

/** 48 bits: among a million settings of one pipeline and date, two collide once in 500 times. */
function digest(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 12);
}

/** JSON with the names of every object in order, so that equal values have equal text. `{b: 1, a: 2}` → `{"a":2,"b":1}` */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
