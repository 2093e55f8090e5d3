/** Writes the evaluation page where people look for it: `reports/<pipeline>/<asOf>-<digest>/evaluation.html`. */
import type { BlobRef } from '../spec/artifacts.ts';
import type { FittedTransforms, SelectionReport } from '../spec/transforms.ts';
import { defineStep } from '../store/step.ts';
import type { ComparisonCurves, Curves } from './curves.ts';
import type { ReportFacts } from './report/input.ts';
import { renderReport } from './report-page.ts';

export type ReportStepInput = ReportFacts;

/** `page`: store key of the page; its name carries the page's content, so that two pages never fight for one. */
export const publishReport = defineStep<ReportStepInput, { report: BlobRef; page: string }>({
  name: 'publish-report',
  version: 1,
  natives: [],
  source: import.meta.url,
  async run(facts, { blobs }) {
    const { evaluation, comparison } = facts;
    const curves = await blobs.json<Curves>(evaluation.curves);
    const comparisonCurves = comparison?.curves ? await blobs.json<ComparisonCurves>(comparison.curves) : null;
    const { transforms, selection } = facts.trainingSet.prepared ?? {};
    const page = renderReport({
      ...{ ...facts, curves, comparisonCurves },
      transforms: transforms && (await blobs.json<FittedTransforms>(transforms)),
      selection: selection && (await blobs.json<SelectionReport>(selection)),
    });
    const bytes = new TextEncoder().encode(page);
    const report = await blobs.putBytes(bytes);
    const key = `reports/${facts.pipeline}/${facts.asOf}-${report.sha256.slice(0, 12)}/evaluation.html`;
    await blobs.objects.put(key, bytes, { create: true });
    return { report, page: key };
  },
});
