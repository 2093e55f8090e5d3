/** Reads the instances of a request: each names an entity by its keys, or brings the model's inputs itself, or both. */
import { Ajv, type ErrorObject } from 'ajv';
import type { OnlineValue } from '../core/features/online-store.ts';
import type { FeatureInfo } from '../core/spec/artifacts.ts';
import { RefitError } from '../core/spec/errors.ts';
import { violationSentence } from './http-errors.ts';
import { NO_ROW, type RowColumns } from './row-columns.ts';

export interface Instance {
  /** The entity's key columns; null where none is named. */
  key: Record<string, string> | null;
  /** Inputs that came with the request, by feature name. */
  given: Record<string, OnlineValue>;
  /** Whether the rest of the features is to be looked up under the key. */
  lookUp: boolean;
}

export interface InstanceReader {
  /** JSON Schema of one instance. */
  schema: object;
  /** @throws RefitError REFIT_REQUEST_INVALID naming the instance and the field */
  read(instances: readonly unknown[]): Instance[];
}

/** Numbers take booleans too, as SQL's BOOLEAN became a number when the model was trained. */
const TYPES = { number: ['number', 'boolean', 'null'], category: ['string', 'null'] };

/** Beyond it, JSON's numbers run together: 9007199254740993 is read as ..992, and would name another entity. */
const MOST_EXACT = Number.MAX_SAFE_INTEGER;

/**
 * A reader for a model with these features whose entities are named by `key`. The names of both never meet. `row`: what else a
 * row of the table brings.
 */
export function createInstanceReader(
  features: readonly FeatureInfo[],
  key: readonly string[],
  { aliases, ignored }: RowColumns = NO_ROW,
): InstanceReader {
  const inputs = new Map<string, object>([
    ...key.map((name) => [name, { type: ['string', 'number', 'boolean'] }] as const),
    ...features.map(({ name, kind }) => [name, { type: TYPES[kind] }] as const),
  ]);
  const properties = Object.fromEntries([
    ...inputs,
    ...[...aliases].map(([column, name]) => [column, inputs.get(name) ?? {}] as const),
    ...[...ignored].map((column) => [column, {}] as const),
  ]);
  const schema = { type: 'object', properties, additionalProperties: false, minProperties: 1 };
  // Own properties only: a feature may be called `constructor`, which every object has.
  const check = new Ajv({ allowUnionTypes: true, ownProperties: true }).compile(schema);
  const known = [...inputs.keys()];
  const names = features.map(({ name }) => name);

  function readOne(sent: Record<string, OnlineValue | boolean>, position: number): Instance {
    const instance: Record<string, OnlineValue | boolean> = Object.create(null) as typeof instance;
    for (const [column, name] of aliases) if (Object.hasOwn(sent, column)) instance[name] = sent[column] ?? null;
    Object.assign(instance, sent);
    // Nothing inherited here either, or a feature called `constructor` would be given with every instance.
    const given: Instance['given'] = Object.create(null) as Instance['given'];
    for (const name of names) {
      const value = instance[name];
      if (value !== undefined) given[name] = typeof value === 'boolean' ? Number(value) : value;
    }
    const parts = key.filter((name) => instance[name] !== undefined);
    if (parts.length === 0 && Object.keys(given).length === 0) throw invalid(emptySentence(position, known), position);
    const complete = names.every((name) => name in given);
    if (parts.length > 0 && parts.length < key.length && !complete) {
      const missing = key.filter((name) => !parts.includes(name));
      throw invalid(
        `instances[${position}] names its entity in part only: ${missing.join(', ')} is missing.`,
        position,
      );
    }
    const named = parts.length === key.length;
    const inexact = parts.find((name) => typeof instance[name] === 'number' && Math.abs(instance[name]) > MOST_EXACT);
    if (inexact !== undefined) {
      const message = `instances[${position}].${inexact} is a number too large to be exact in JSON; send it as a text.`;
      throw invalid(message, position);
    }
    return {
      key: named ? Object.fromEntries(key.map((name) => [name, String(instance[name])])) : null,
      given,
      lookUp: named && !complete,
    };
  }

  return {
    schema,
    read: (instances) =>
      instances.map((instance, position) => {
        if (!check(instance)) throw invalid(sentence(check.errors?.[0], position, known), position);
        return readOne(instance as Record<string, OnlineValue | boolean>, position);
      }),
  };
}

function sentence(error: ErrorObject | undefined, position: number, known: string[]): string {
  const where = `instances[${position}]`;
  if (error?.keyword === 'minProperties') return emptySentence(position, known);
  return error ? violationSentence(where, error, known) : `${where} is not valid.`;
}

function invalid(message: string, instance: number): RefitError {
  return new RefitError('REFIT_REQUEST_INVALID', message, { instance });
}

function emptySentence(position: number, known: string[]): string {
  return `instances[${position}] is empty; give the entity's keys or the model's inputs: ${known.slice(0, 12).join(', ')}.`;
}
