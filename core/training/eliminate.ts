/** Selection by importance: pure decisions over trainings that somebody else runs. */
import type { SelectionReport, SelectSpec } from '../spec/transforms.ts';

/** One training that judges columns. */
export interface Judged {
  /** Validation log loss. */
  logLoss: number;
  /** Share of gain by column, highest first. */
  importance: { feature: string; share: number }[];
}

/** Trains on these columns, in order. */
export type JudgeColumns = (columns: readonly string[]) => Promise<Judged>;

type Found = Pick<SelectionReport, 'kept' | 'dropped' | 'rounds'>;

/**
 * Drops by share of gain, then by recursive elimination (Guyon et al., 2002), each as declared. One column stays at least.
 * The order of `columns` is kept.
 */
export async function selectByImportance(
  columns: readonly string[],
  { importance, eliminate, always }: SelectSpec,
  judge: JudgeColumns,
): Promise<Found> {
  const found: Found = { kept: [...columns], dropped: [], rounds: [] };
  if (importance !== undefined && columns.length > 1) {
    const judged = await judge(found.kept);
    const [first] = judged.importance;
    const low = judged.importance.filter(
      ({ feature, share }) => share < importance && feature !== first?.feature && !always.includes(feature),
    );
    note(found, judged, low, 'importance');
  }
  if (eliminate) await eliminateColumns(found, eliminate, always, judge);
  return found;
}

async function eliminateColumns(
  found: Found,
  { keep, step }: NonNullable<SelectSpec['eliminate']>,
  always: readonly string[],
  judge: JudgeColumns,
): Promise<void> {
  const goal = keep === 'best' ? 1 : keep;
  const states: { kept: string[]; dropped: number; logLoss: number }[] = [];
  for (;;) {
    const judged = await judge(found.kept);
    states.push({ kept: found.kept, dropped: found.dropped.length, logLoss: judged.logLoss });
    const free = judged.importance.filter(({ feature }) => !always.includes(feature));
    const most = Math.min(found.kept.length - goal, Math.max(1, Math.floor(found.kept.length * step)), free.length);
    // The last column of all has to stay.
    const count = most === found.kept.length ? most - 1 : most;
    note(found, judged, count > 0 ? free.slice(-count) : [], 'elimination');
    if (count <= 0) break;
  }
  if (keep !== 'best') return;
  // The lowest loss; of equals the one with fewer columns, which came later.
  const best = states.reduce((a, b) => (b.logLoss <= a.logLoss ? b : a));
  found.kept = best.kept;
  found.dropped.length = best.dropped;
}

/** Writes down a training and what goes after it. */
function note(found: Found, judged: Judged, gone: Judged['importance'], by: 'importance' | 'elimination'): void {
  const names = new Set(gone.map(({ feature }) => feature));
  found.rounds.push({ columns: found.kept.length, logLoss: judged.logLoss, dropped: [...names] });
  found.dropped.push(...gone.map(({ feature, share }) => ({ column: feature, by, value: share })));
  found.kept = found.kept.filter((name) => !names.has(name));
}
