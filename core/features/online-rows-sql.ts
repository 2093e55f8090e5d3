/** The rows that the online store keeps of a part, key by key, as SQL. */
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { OnlinePart } from './online-parts.ts';
import { durationInterval } from './time-sql.ts';

/** Columns before the key and the values: id of the key, event and known time (microseconds; NaN = no row). */
export const LEADING = 3;

/**
 * `keys` is a table of keys with `__id` and `__k0`, …: every one from `fromId` on is there, in order, with its rows from the
 * oldest to the newest; one without rows has one row of missing times. Rows are those that are known at asOf and that some
 * later time can still see.
 */
export function keptRowsSql(part: OnlinePart, keys: string, asOf: string, fromId: number): string {
  const { source, values, event, known, lookup } = part;
  const now = timestampLiteral(asOf);
  const k = part.keys.map((_key, i) => `__k${i}`);
  const v = values.map((_value, i) => `__v${i}`);
  const ties = part.ties.map((i) => `__v${i}`);
  const gone = source.gone ? ` AND ${source.gone} > ${now}` : '';
  const us = (time: string) =>
    `CASE WHEN __known IS NULL THEN 'nan'::DOUBLE WHEN isfinite(${time}) THEN epoch_us(${time})::DOUBLE ELSE '-infinity'::DOUBLE END`;
  const columns = v.map((name, i) => (lookup.texts[i] ? name : `coalesce(${name}::DOUBLE, 'nan'::DOUBLE)`));
  return `WITH raw AS (
    SELECT ${part.keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')}, ${event} AS __event, ${known} AS __known
      ${values.map((sql, i) => `, ${sql} AS __v${i}`).join('')}
    FROM ${source.relation} WHERE ${source.good}${gone}
  ), facts AS (
    SELECT q.__id, r.* FROM raw r JOIN ${keys} q USING (${k.join(', ')})
    WHERE q.__id >= ${fromId} AND r.__known <= ${now} AND ${seenLater(part, now)}
  ), kept AS (SELECT __id, __event, __known${v.map((name) => `, ${name}`).join('')} FROM facts ${newestOnly(part, now, ties)})
  SELECT q.__id::DOUBLE, ${us('__event')}, ${us('__known')}, ${[...k.map((name) => `q.${name}::VARCHAR`), ...columns].join(', ')}
  FROM ${keys} q LEFT JOIN kept USING (__id) WHERE q.__id >= ${fromId}
  ORDER BY ${['q.__id', '__event', '__known', ...ties].join(', ')}`;
}

/**
 * The newest event that happened by asOf and was known then, whether or not it still counts: microseconds as `newest`; NULL where
 * there is none from `sinceUs` on.
 */
export function newestEventSql(part: OnlinePart, asOf: string, sinceUs: number | null): string {
  const { source, event, known, keys, lookup } = part;
  const now = timestampLiteral(asOf);
  const until = lookup.read.kind === 'latest' ? ahead(now, lookup.read.aheadUs) : now;
  const conditions = [
    ...[source.good, `${known} <= ${now}`, `isfinite(${event})`, `${event} <= ${until}`],
    ...keys.map(({ sourceSql }) => `${sourceSql} IS NOT NULL`),
    ...(source.gone ? [`${source.gone} > ${now}`] : []),
    ...(sinceUs === null ? [] : [`${event} >= make_timestamp(${sinceUs})`]),
  ];
  return `SELECT epoch_us(max(${event}))::DOUBLE AS newest FROM ${source.relation} WHERE ${conditions.join(' AND ')}`;
}

/** Rows that a question at asOf or later can see. */
function seenLater({ lookup: { read } }: OnlinePart, now: string): string {
  if (read.kind === 'latest') {
    const fresh =
      read.ttl === undefined ? '' : ` AND __event >= ${ahead(now, read.aheadUs)} - ${durationInterval(read.ttl)}`;
    return `__event < 'infinity'::TIMESTAMP${fresh}`;
  }
  const young = read.overUs === null ? '' : ` AND __event + to_microseconds(${read.overUs}) > ${now}`;
  return `isfinite(__event)${young}`;
}

const ahead = (now: string, us: number) => (us === 0 ? now : `(${now} + to_microseconds(${us}))`);

/** Of the rows until now those that newer ones do not hide; the ones to come stay. */
function newestOnly({ lookup: { read } }: OnlinePart, now: string, ties: string[]): string {
  const newestFirst = ['__event', '__known', ...ties].map((name) => `${name} DESC NULLS FIRST`).join(', ');
  if (read.kind === 'latest') {
    const until = ahead(now, read.aheadUs);
    const group = `CASE WHEN __event <= ${until} THEN '-infinity'::TIMESTAMP ELSE __event END`;
    return `QUALIFY row_number() OVER (PARTITION BY __id, ${group} ORDER BY ${newestFirst}) = 1`;
  }
  if (read.last === null) return '';
  return `QUALIFY __event > ${now} OR row_number() OVER (PARTITION BY __id, __event > ${now} ORDER BY ${newestFirst}) <= ${read.last}`;
}
