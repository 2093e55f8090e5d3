import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';

/** What all parts of the contract compiler share: reading JSON Schema by hand, and refusing with the place at fault. */

export type Schema = Record<string, unknown>;

export type ContractType = 'integer' | 'number' | 'boolean' | 'string' | 'date-time' | 'date';

export const ANNOTATIONS = [
  ...[
    'title',
    'description',
    '$schema',
    '$id',
    '$comment',
    'examples',
    'default',
    'deprecated',
    'readOnly',
    'writeOnly',
  ],
];

/** @throws RefitError REFIT_CONTRACT_INVALID, always */
export function invalid(place: string, reason: string): never {
  throw new RefitError('REFIT_CONTRACT_INVALID', `The contract's ${place} is not usable: ${reason}.`, { place });
}

export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function allowOnly(schema: Schema, allowed: string[], place: string): void {
  for (const key of Object.keys(schema)) {
    const at = place === '' ? key : `${place}.${key}`;
    if (!allowed.includes(key)) invalid(at, `the keyword "${key}" is not supported${nearest(key, allowed)}`);
  }
}

export function columnList(value: unknown, place: string, names: string[]): string[] {
  if (!Array.isArray(value)) invalid(place, 'must be a list of column names');
  for (const name of value as unknown[]) {
    if (typeof name !== 'string' || !names.includes(name)) {
      invalid(place, `${JSON.stringify(name)} has no entry in properties${nearest(String(name), names)}`);
    }
  }
  return value as string[];
}

/** JSON Schema's name of a value's type; a whole number is an integer. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value;
}
