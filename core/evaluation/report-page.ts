/**
 * The evaluation page: one HTML file that shows whether a candidate is good, where it is not, and what it was made of. It needs
 * nothing else: style and drawings are inside, there is no script and no link. Whoever writes it somewhere is publish-report.ts.
 */
import { importancePlot, slicePlot, timeline } from './report/bar-plots.ts';
import { calibrationPlot, histogramPlot, rocPlot, weeksPlot } from './report/curve-plots.ts';
import { type Html, html, trusted } from './report/html.ts';
import type { ReportInput } from './report/input.ts';
import { preparation } from './report/preparation.ts';
import { STYLE } from './report/style.ts';
import * as tables from './report/tables.ts';

/** The page as text. Pure: equal input, equal page. Every name and value from outside is escaped. */
export function renderReport(input: ReportInput): string {
  const { evaluation, curves, comparison, trainingSet } = input;
  const auc = {
    candidate: evaluation.metrics.test.auc,
    baseline: evaluation.baseline.test.auc,
    champion: comparison?.championMetrics?.auc ?? null,
  };
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${input.pipeline}, ${input.asOf}: ${tables.verdict(input.gates)}</title><style>${trusted(STYLE)}</style></head>
<body><main>
${tables.header(input)}
${tables.keyFigures(input)}
${tables.gatesTable(input)}
<section><h2>Quality</h2><div class="plots">
${rocPlot(curves, input.comparisonCurves, auc)}
${calibrationPlot(curves)}
${histogramPlot(curves.histogram)}
${weeksPlot(curves.weeks, trainingSet.periods.test.from, auc.candidate)}
</div></section>
${slices(input)}
<section><h2>Model</h2><div class="plots">${importancePlot(curves.importance)}${tables.modelFacts(input)}</div></section>
<section><h2>Training set</h2>${timeline(trainingSet)}${tables.splitTable(input)}</section>
${preparation(input)}${tables.trialsTable(input)}
${tables.lineage(input)}
<footer>Written by Refit. Intervals: AUC after Hanley and McNeil (1982), shares after Wilson (1927), both at 95 %.</footer>
</main></body></html>
`;
  return page.text;
}

function slices({ evaluation }: ReportInput): Html {
  const { slices: all, metrics } = evaluation;
  if (all.length === 0) return html``;
  const columns = [...new Set(all.map(({ column }) => column))];
  const plots = columns.map((column, i) =>
    slicePlot(
      column,
      all.filter((slice) => slice.column === column),
      metrics.test.auc,
      `slices-${i}`,
    ),
  );
  return html`<section><h2>Slices</h2><div class="plots">${plots}</div>${tables.sliceTable(all)}</section>`;
}
