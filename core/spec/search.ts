/**
 * Proposes hyperparameter trials as a pure function of the finished ones: no clock, no random source, so that a replayed
 * workflow proposes the same. First it spreads out over the space, then it looks around the best with ever smaller steps.
 */
import type { Trial } from './artifacts.ts';
import type { SearchSpec } from './pipeline.ts';

type SearchRange = SearchSpec['space'][string];

export interface ProposedTrial {
  index: number;
  /** Overrides of the model's parameters; empty: the declared ones themselves. */
  params: Record<string, number>;
}

/** Farthest step away from the best, as a share of a range: in the first trial that looks around it, and in the last. */
const FIRST_SPREAD = 0.3;
const LAST_SPREAD = 0.03;

/**
 * The next `count` trials after those finished (fewer when `spec.trials` is reached). Trial 0 has the declared parameters;
 * `declared` tells where in the space those lie, in case they stay the best.
 */
export function proposeTrials(
  spec: SearchSpec,
  seed: number,
  finished: readonly Trial[],
  count: number,
  declared: Readonly<Record<string, unknown>> = {},
): ProposedTrial[] {
  const first = finished.reduce((next, { trial }) => Math.max(next, trial + 1), 0);
  const proposals: ProposedTrial[] = [];
  for (let index = first; index < Math.min(first + count, spec.trials); index++) {
    proposals.push({ index, params: index === 0 ? {} : propose(spec, seed, finished, index, declared) });
  }
  return proposals;
}

/** The finished trial with the lowest loss, the earlier of equals; undefined when there is none. */
export function bestTrial(finished: readonly Trial[]): Trial | undefined {
  const order = (a: Trial, b: Trial): number => a.logLoss - b.logLoss || a.trial - b.trial;
  return finished.filter(({ logLoss }) => Number.isFinite(logLoss)).sort(order)[0];
}

function propose(
  spec: SearchSpec,
  seed: number,
  finished: readonly Trial[],
  index: number,
  declared: Readonly<Record<string, unknown>>,
): Record<string, number> {
  const names = Object.keys(spec.space).sort();
  const best = finished.length > 1 ? bestTrial(finished) : undefined;
  const done = Math.max(0, index - spec.batch) / Math.max(1, spec.trials - 1 - spec.batch);
  const spread = FIRST_SPREAD * (LAST_SPREAD / FIRST_SPREAD) ** done;
  return Object.fromEntries(
    names.map((name, dimension) => {
      const range = spec.space[name] as SearchRange;
      const centre = best && placeOf(range, best.params[name] ?? declared[name]);
      if (centre === undefined) return [name, valueAt(range, spreadOut(seed, index, dimension, names.length))];
      // Two draws added up: near the best more often than far from it.
      const aside = draw(seed, index, dimension, 0) + draw(seed, index, dimension, 1) - 1;
      return [name, valueAt(range, reflect(centre + spread * aside))];
    }),
  );
}

/** Value at a place in [0, 1] of a range, to five digits, so that it reads well and is the same on every machine. */
function valueAt({ min, max, log, int }: SearchRange, place: number): number {
  const value = log ? min * (max / min) ** place : min + (max - min) * place;
  const rounded = int ? Math.round(value) : Number(value.toPrecision(5));
  return Math.min(max, Math.max(min, rounded));
}

function placeOf({ min, max, log }: SearchRange, value: unknown): number | undefined {
  if (typeof value !== 'number' || max <= min) return undefined;
  const place = log ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
  return Number.isFinite(place) ? Math.min(1, Math.max(0, place)) : undefined;
}

/** Back into [0, 1] at its ends: 1.1 → 0.9. */
function reflect(place: number): number {
  const folded = Math.abs(place) % 2;
  return folded > 1 ? 2 - folded : folded;
}

/**
 * The R sequence: evenly spread points in any number of dimensions. Source: M. Roberts, "The unreasonable effectiveness of
 * quasirandom sequences" (2018): point n is (offset + n × φ⁻ʲ) mod 1, φ the root of x^(d+1) = x + 1; d = 1: 0.618, d = 2: 0.7549.
 */
function spreadOut(seed: number, index: number, dimension: number, dimensions: number): number {
  let phi = 2;
  for (let i = 0; i < 40; i++) phi = (1 + phi) ** (1 / (dimensions + 1));
  return (draw(seed, 0, dimension, 2) + index * phi ** -(dimension + 1)) % 1;
}

/** A number in [0, 1) from four whole numbers, by the mixing of MurmurHash3. */
function draw(...parts: [seed: number, index: number, dimension: number, which: number]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    hash = Math.imul(hash ^ part, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}
