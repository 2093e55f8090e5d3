import { defineStep } from '../store/step.ts';
import { type JudgementInput, judgeSnapshot } from './judge-snapshot.ts';
import { complaints } from './refusals.ts';
import { unionColumns } from './snapshot-columns.ts';

type CorrectionInput = Omit<JudgementInput, 'references'> & { maxBadShare: number };

/**
 * Judges partitions that were corrected, as they are now, by what was known at the run's date: a file that was broken by hand is
 * told at once, and not when a run as of now comes to see it. @throws RefitError REFIT_CONTRACT_BAD_ROWS
 */
export const checkCorrection = defineStep<CorrectionInput, { rows: number }>({
  name: 'check-correction',
  version: 1,
  natives: ['duckdb'],
  source: import.meta.url,
  async run(input, context) {
    const found = await judgeSnapshot(input, unionColumns(input.source, input.partitions), context);
    const broken = complaints(input, found).find(({ code }) => code === 'REFIT_CONTRACT_BAD_ROWS');
    if (broken) throw broken;
    return { rows: found.rows };
  },
});
