/** Times between SQL (TIMESTAMP in UTC) and JSON (ISO UTC). */

/** SQL that writes a TIMESTAMP as ISO UTC, fractions only where there are any; NULL for an infinity. */
export function isoSql(time: string): string {
  const finite = `CASE WHEN isfinite(${time}) THEN ${time} END`;
  return `regexp_replace(strftime(${finite}, '%Y-%m-%dT%H:%M:%S.%fZ'), '\\.0+Z$', 'Z')`;
}

/** `2014-01-01T06:00:00Z` → `TIMESTAMP '2014-01-01 06:00:00'`, to the millisecond. */
export function timestampLiteral(iso: string): string {
  return `TIMESTAMP '${new Date(iso).toISOString().slice(0, -1).replace('T', ' ')}'`;
}
