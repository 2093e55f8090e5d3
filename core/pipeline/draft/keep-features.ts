/** From candidates to features: without what gives the label away, by names that a request can use. */
import { identifier } from '../../dataset/duckdb.ts';
import { RefitError } from '../../spec/errors.ts';
import { type Candidate, findLeaks, LEAK_AUC, type LeftOut, rowNumbers } from './choose-features.ts';
import { isPlainName, listed, nameGiver } from './names.ts';
import type { Ground } from './open-rows.ts';

export interface DraftFeature {
  name: string;
  /** SQL over the source's columns; the name itself where it is the column. */
  sql: string;
  kind: 'number' | 'category';
  column: string;
}

/** Candidates less what gives the label away or only counts rows; tells of both. */
export async function keepFeatures(
  { db, columns }: Ground,
  candidates: Candidate[],
  leftOut: LeftOut[],
  notes: string[],
): Promise<Candidate[]> {
  const dense = await rowNumbers(db, candidates);
  const usable = candidates.filter(({ name }) => !dense.has(name));
  const { leaks, suspects } = await findLeaks(db, 'looked', usable);
  const honest = usable.filter(({ name }) => !leaks.has(name));
  const kept = honest.length > 0 ? honest : usable;
  if (kept.length === 0) {
    const why = leftOut.map(({ column, why }) => `${column}: ${why}`);
    const known = why.length === 0 ? 'there is none besides the label, the time and the key' : listed(why);
    throw new RefitError('REFIT_USAGE', `No column is left to learn from: ${known}.`, { leftOut });
  }
  for (const name of dense) leftOut.push({ column: name, why: 'it only counts the rows', sql: identifier(name) });
  if (honest.length > 0) {
    for (const [name, auc] of leaks) {
      const { sql } = usable.find((one) => one.name === name) as Candidate;
      leftOut.push({
        column: name,
        why: `it alone tells the label (AUC ${auc.toFixed(3)}): known only afterwards?`,
        sql,
      });
    }
  } else {
    notes.push(
      `${listed([...leaks.keys()])} alone tells the label and is all there is to learn from: is it known only afterwards?`,
    );
  }
  for (const [name, auc] of suspects) {
    notes.push(
      `${name} alone ${auc >= LEAK_AUC ? 'tells' : 'nearly tells'} the label (AUC ${auc.toFixed(3)}): take it out if it is known only afterwards.`,
    );
  }
  const place = new Map(columns.map((column) => [column.name, column.place]));
  leftOut.sort((a, b) => (place.get(a.column) ?? 0) - (place.get(b.column) ?? 0));
  return kept;
}

/** Features by their columns' names where those are names; the others give way. */
export function nameFeatures(kept: Candidate[], key: string): DraftFeature[] {
  const give = nameGiver([key, 'predict_at']);
  const names = new Map<string, string>();
  const plain = ({ name }: Candidate) => isPlainName(name);
  for (const one of [...kept.filter(plain), ...kept.filter((one) => !plain(one))])
    names.set(one.name, give(one.name, one.place));
  return kept.map((one) => ({
    name: names.get(one.name) ?? one.name,
    sql: one.sql,
    kind: one.kind,
    column: one.name,
  }));
}

/** The newest row, as a request would hold it. */
export async function sampleRow(
  { db, time }: Ground,
  features: DraftFeature[],
  key: string,
): Promise<{ sample: Record<string, unknown>; sampleKey: unknown }> {
  const value = ({ sql, kind }: DraftFeature) => (kind === 'category' ? `(${sql})::VARCHAR` : `(${sql})::DOUBLE`);
  const items = features.map((feature, i) => `${value(feature)} AS f${i}`);
  const [row = {}] = await db.rows(`SELECT ${[`${identifier(key)} AS __key`, ...items].join(', ')} FROM looked
    WHERE isfinite((${time.at})::TIMESTAMP) ORDER BY (${time.at})::TIMESTAMP DESC, __row DESC LIMIT 1`);
  const exact = (found: bigint) => (Number.isSafeInteger(Number(found)) ? Number(found) : String(found));
  const plain = (found: unknown) =>
    typeof found === 'bigint' ? exact(found) : Number.isNaN(found) ? null : (found ?? null);
  return {
    sample: Object.fromEntries(features.map(({ name }, i) => [name, plain(row[`f${i}`])])),
    sampleKey: plain(row.__key),
  };
}
