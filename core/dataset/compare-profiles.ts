import type { ColumnProfile, SnapshotProfile } from '../spec/artifacts.ts';

/** What a person should know about how a snapshot differs from the one before: a short list, the largest differences first. */

const MOST = 10;
/** Differences that are worth a line. */
const NOTABLE = { rows: 1.5, nullShare: 0.05, shift: 0.25, topShare: 0.1, distinct: 2 };

interface Difference {
  text: string;
  /** How many times the threshold it is. */
  size: number;
}

/** e.g. `dep_delay: mean 12.6 → 25.1`; empty where nothing is notable. */
export function compareProfiles(before: SnapshotProfile, after: SnapshotProfile): string[] {
  const found: Difference[] = ratio('rows', before.rows, after.rows, NOTABLE.rows);
  for (const column of after.columns) {
    const old = before.columns.find(({ name }) => name === column.name);
    if (!old) found.push({ text: `${column.name}: new column`, size: 5 });
    else found.push(...columnDifferences(old, column, before.rows, after.rows));
  }
  for (const { name } of before.columns) {
    if (!after.columns.some((column) => column.name === name))
      found.push({ text: `${name}: no longer there`, size: 10 });
  }
  const sorted = found.toSorted((a, b) => b.size - a.size || (a.text < b.text ? -1 : 1));
  return sorted.slice(0, MOST).map(({ text }) => text);
}

function columnDifferences(a: ColumnProfile, b: ColumnProfile, rowsA: number, rowsB: number): Difference[] {
  if (rowsA === 0 || rowsB === 0) return [];
  const shares = [a.nulls / rowsA, b.nulls / rowsB] as const;
  const nulls = Math.abs(shares[1] - shares[0]) / NOTABLE.nullShare;
  return [
    ...(nulls > 1 ? [{ text: `${b.name}: nulls ${percent(shares[0])} → ${percent(shares[1])}`, size: nulls }] : []),
    ...shifts(a, b),
    ...ranges(a, b),
    ...(b.kind === 'category' ? ratio(`${b.name}: distinct values`, a.distinct, b.distinct, NOTABLE.distinct) : []),
    ...frequencies(a, b),
  ];
}

/** The mean, in standard deviations of before. */
function shifts(a: ColumnProfile, b: ColumnProfile): Difference[] {
  if (a.mean === undefined || b.mean === undefined || !a.std) return [];
  const size = Math.abs(b.mean - a.mean) / a.std / NOTABLE.shift;
  return size > 1 ? [{ text: `${b.name}: mean ${number(a.mean)} → ${number(b.mean)}`, size }] : [];
}

/** Values beyond the range of before by half of its width. */
function ranges(a: ColumnProfile, b: ColumnProfile): Difference[] {
  const [low, high, newLow, newHigh] = [a.min, a.max, b.min, b.max];
  if (typeof low !== 'number' || typeof high !== 'number' || typeof newLow !== 'number' || typeof newHigh !== 'number')
    return [];
  const half = (high - low) / 2;
  if (half <= 0) return [];
  const beyond = (size: number, text: string) => (size > 1 ? [{ text: `${b.name}: ${text}`, size }] : []);
  return [
    ...beyond((low - newLow) / half, `min ${number(low)} → ${number(newLow)}`),
    ...beyond((newHigh - high) / half, `max ${number(high)} → ${number(newHigh)}`),
  ];
}

function frequencies(a: ColumnProfile, b: ColumnProfile): Difference[] {
  // The profile before may hold values of what was declared personal data since.
  if (a.personal || b.personal) return [];
  const shareOf = (of: ColumnProfile, value: string) => of.top.find((one) => one.value === value)?.share ?? 0;
  const values = [...new Set([...a.top, ...b.top].map(({ value }) => value))];
  return values.flatMap((value) => {
    const [before, after] = [shareOf(a, value), shareOf(b, value)];
    const size = Math.abs(after - before) / NOTABLE.topShare;
    return size > 1 ? [{ text: `${b.name}: "${value}" ${percent(before)} → ${percent(after)}`, size }] : [];
  });
}

function ratio(what: string, a: number, b: number, limit: number): Difference[] {
  if (a === b) return [];
  const size = Math.max(a, b) / Math.max(1, Math.min(a, b)) / limit;
  return size > 1 ? [{ text: `${what} ${number(a)} → ${number(b)}`, size }] : [];
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`;
const number = (value: number): string => String(Number(value.toPrecision(4)));
