/** Which features and columns may tell the outcome what nobody can know when asked; suspicions, not verdicts. */
import type { FeatureFigures, SourceFigures, Suspect } from '../spec/exploration.ts';
import type { Alone } from './alone.ts';

export interface Measured {
  value: Alone | null;
  missing: Alone | null;
}

interface Facts {
  features: readonly FeatureFigures[];
  measured: ReadonlyMap<string, Measured>;
  /** Feature → share of its values that were not known yet. */
  late: ReadonlyMap<string, number>;
  sources: readonly SourceFigures[];
  /** `source.column` that views name. */
  used: ReadonlySet<string>;
  limit: number;
}

/** How far below the limit the interval may reach: a few rows prove nothing. */
const SLACK = 0.15;
const MOST = 0.5;

/** Strongest first, by kind. */
export function suspectsOf({ features, measured, late, sources, used, limit }: Facts): Suspect[] {
  const alone = features.flatMap(({ name }): Suspect[] => {
    const { value, missing } = measured.get(name) ?? { value: null, missing: null };
    const found: Suspect[] = [];
    // A category counts a missing value as one of its own: what that tells is said once.
    const told = isStrong(missing, limit) && missing.auc >= (value?.auc ?? 0) - 0.01;
    if (!told && isStrong(value, limit)) {
      const reason = `${name} alone reaches an AUC of ${figure(value.auc)}, above ${limit}: is it known at the prediction time?`;
      found.push({ name, why: 'predicts-alone', value: value.auc, reason });
    }
    if (isStrong(missing, limit)) {
      const reason = `Whether ${name} is missing alone reaches an AUC of ${figure(missing.auc)}: it seems to be filled in by the outcome.`;
      found.push({ name, why: 'missing-tells', value: missing.auc, reason });
    }
    return found;
  });
  const tooLate = [...late].flatMap(([name, share]): Suspect[] =>
    share < MOST
      ? []
      : [
          {
            name,
            why: 'known-late',
            value: share,
            reason: `${percent(share)} of the values of ${name} become known after the prediction time; Refit leaves them out, so the feature is empty there.`,
          },
        ],
  );
  const never = sources.flatMap(({ name: source, columns }) =>
    columns.flatMap(({ name, unknownShare }): Suspect[] => {
      const column = `${source}.${name}`;
      if (unknownShare < MOST || !used.has(column)) return [];
      const reason = `${percent(unknownShare)} of the values of ${column} are not known by the date looked at, and a view reads it.`;
      return [{ name: column, why: 'never-known', value: unknownShare, reason }];
    }),
  );
  return [alone, tooLate, never].flatMap((group) =>
    group.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1)),
  );
}

function isStrong(alone: Alone | null, limit: number): alone is Alone {
  return alone !== null && alone.auc >= limit && alone.low >= limit - SLACK;
}

const figure = (value: number) => value.toFixed(3);
const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;
