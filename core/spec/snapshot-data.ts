import type { Snapshot } from './artifacts.ts';

/** The data of a snapshot, which later steps depend on; what was told about it must not make them run again. */
export function dataOf({
  checks: _,
  warnings: _w,
  changes: _c,
  profile: _p,
  notable: _n,
  ...data
}: Snapshot): Snapshot {
  return data;
}
