/** Plots of curves: ROC, calibration, scores by outcome, quality by week. Each returns a figure. */
import type { ComparisonCurves, Curves, ModelCurves } from '../curves.ts';
import { aucInterval } from '../metrics.ts';
import type { WeekMetrics } from '../slices.ts';
import { count, figure, percent, roundTicks } from './format.ts';
import { type Axis, path, plot, px, type Scale } from './frame.ts';
import { type Html, html } from './html.ts';

const SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1];
const shareAxis = (label: string): Axis => ({ label, low: 0, high: 1, ticks: SHARES, text: (tick) => tick.toFixed(1) });

/** `auc`: areas on the test period; the champion's is on the rows of the comparison. */
export function rocPlot(
  { candidate, baseline }: Curves,
  comparison: ComparisonCurves | null,
  auc: { candidate: number | null; baseline: number | null; champion: number | null },
): Html {
  const champion = comparison === null ? [] : [{ series: 'champion', label: `champion ${figure(auc.champion)}` }];
  const diagonal = [
    { x: 0, y: 0 },
    { x: 1, y: 1 },
  ];
  return plot(
    {
      id: 'roc',
      title: 'ROC curve',
      description: `ROC curve on the test period: area ${figure(auc.candidate)} for the candidate, ${figure(auc.baseline)} for the logistic baseline${comparison === null ? '' : `, ${figure(auc.champion)} for the champion on the rows that neither saw`}; the diagonal is chance.`,
      caption: `How many of the positives are found at a given rate of false alarms; the dotted diagonal is chance.${comparison === null ? '' : ' The champion is drawn on the rows that neither model saw.'}`,
      x: shareAxis('false positive rate'),
      y: shareAxis('true positive rate'),
      legend: [
        { series: 'candidate', label: `candidate ${figure(auc.candidate)}` },
        ...champion,
        { series: 'baseline', label: `baseline ${figure(auc.baseline)}` },
      ],
    },
    (scale) => [
      html`<polyline class="reference" points="${path(diagonal, scale)}"/>`,
      html`<polyline class="line baseline" points="${path(baseline.roc, scale)}"/>`,
      html`${comparison !== null && html`<polyline class="line champion" points="${path(comparison.champion, scale)}"/>`}`,
      html`<polyline class="line candidate" points="${path(candidate.roc, scale)}"/>`,
    ],
  );
}

/** Observed against predicted share, each bin with its interval and its rows written beside it. */
export function calibrationPlot({ candidate, baseline }: { candidate: ModelCurves; baseline: ModelCurves }): Html {
  const bins = candidate.calibration;
  const reach = Math.max(
    0.1,
    ...bins.flatMap(({ predicted, high }) => [predicted, high]),
    ...baseline.calibration.flatMap((bin) => [bin.predicted, bin.observed]),
  );
  const high = Math.min(1, Math.ceil(reach * 20) / 20);
  const axis = (label: string): Axis => ({
    label,
    low: 0,
    high,
    ticks: roundTicks(0, high),
    text: (tick) => tick.toFixed(2).replace(/0$/, ''),
  });
  const words = bins.map(
    ({ predicted, observed, rows }) =>
      `predicted ${percent(predicted)}, observed ${percent(observed)} of ${count(rows)} rows`,
  );
  return plot(
    {
      id: 'calibration',
      title: 'Calibration',
      description: `Candidate by tenths of the score: ${words.join('; ')}.`,
      caption: `Is 30 % really 30 %? Tenths of the test rows by score, with 95 % Wilson intervals; on the dotted line they agree. Expected calibration error ${percent(candidate.calibrationError)}, baseline ${percent(baseline.calibrationError)}. The bars below count rows.`,
      x: axis('mean predicted probability'),
      y: axis('observed share'),
      legend: [
        { series: 'candidate', label: 'candidate' },
        { series: 'baseline', label: 'baseline' },
      ],
    },
    (scale) => [
      ...countBars(bins, scale),
      html`<polyline class="reference" points="${path(
        [
          { x: 0, y: 0 },
          { x: high, y: high },
        ],
        scale,
      )}"/>`,
      html`<polyline class="line thin baseline" points="${path(baseline.calibration.map(point), scale)}"/>`,
      ...bins.map((bin) => whisker(scale.x(bin.predicted), scale.y(bin.low), scale.y(bin.high))),
      html`<polyline class="line thin candidate" points="${path(bins.map(point), scale)}"/>`,
      ...bins.map((bin) => {
        const hint = `${percent(bin.predicted)} predicted, ${percent(bin.observed)} observed, ${count(bin.rows)} rows`;
        return html`<circle class="dot candidate" cx="${px(scale.x(bin.predicted))}" cy="${px(scale.y(bin.observed))}" r="4"><title>${hint}</title></circle>`;
      }),
    ],
  );
}

function point({ predicted, observed }: { predicted: number; observed: number }) {
  return { x: predicted, y: observed };
}

/** Thin bars at the foot of the plot, the fullest bin an eighth of its height. */
function countBars(bins: readonly { predicted: number; rows: number }[], scale: Scale): Html[] {
  const most = Math.max(1, ...bins.map(({ rows }) => rows));
  const full = (scale.bottom - scale.top) / 8;
  return bins.map(({ predicted, rows }) => {
    const height = (rows / most) * full;
    return html`<rect class="count" x="${px(scale.x(predicted) - 4)}" y="${px(scale.bottom - height)}" width="8" height="${px(height)}"><title>${count(rows)} rows</title></rect>`;
  });
}

function whisker(x: number, low: number, high: number): Html {
  return html`<line class="whisker" x1="${px(x)}" y1="${px(low)}" x2="${px(x)}" y2="${px(high)}"/>`;
}

/** Share of each outcome's rows by score: the less they overlap, the better the model tells them apart. */
export function histogramPlot({ positives, negatives }: Curves['histogram']): Html {
  const bins = positives.length;
  const shares = (counts: number[]) => {
    const total = counts.reduce((a, b) => a + b, 0);
    return counts.map((rows) => (total === 0 ? 0 : rows / total));
  };
  const series = [
    { name: 'negative', shares: shares(negatives), rows: negatives.reduce((a, b) => a + b, 0) },
    { name: 'positive', shares: shares(positives), rows: positives.reduce((a, b) => a + b, 0) },
  ];
  const used = Math.max(...series.map((one) => one.shares.findLastIndex((share) => share > 0)));
  const right = Math.max(0.2, Math.min(1, Math.ceil(((used + 1) / bins) * 10) / 10));
  const top = Math.max(0.01, ...series.flatMap((one) => one.shares)) * 1.08;
  const middle = (one: (typeof series)[number]) =>
    percent(one.shares.reduce((sum, share, i) => sum + share * ((i + 0.5) / bins), 0));
  const [negative, positive] = series as [(typeof series)[number], (typeof series)[number]];
  return plot(
    {
      id: 'scores',
      title: 'Scores by outcome',
      description: `Distribution of the score on the test period: the mean is about ${middle(positive)} for the ${count(positive.rows)} rows whose label is true and ${middle(negative)} for the ${count(negative.rows)} others.`,
      caption: `Share of each outcome's test rows by score. The less the two overlap, the better the model tells them apart.`,
      x: {
        label: 'predicted probability',
        low: 0,
        high: right,
        ticks: roundTicks(0, right),
        text: (tick) => tick.toFixed(1),
      },
      y: {
        label: 'share of the outcome',
        low: 0,
        high: top,
        ticks: roundTicks(0, top, 5),
        text: (tick) => `${Number((tick * 100).toFixed(1))} %`,
      },
      legend: [
        { series: 'negative', label: `label false, ${count(negative.rows)} rows` },
        { series: 'positive', label: `label true, ${count(positive.rows)} rows` },
      ],
    },
    (scale) => series.map((one) => stairs(one.name, one.shares.slice(0, Math.round(right * bins)), bins, scale)),
  );
}

/** Outline of a histogram, filled. */
function stairs(series: string, shares: number[], bins: number, scale: Scale): Html {
  const points = shares.flatMap((share, i) => [
    { x: i / bins, y: share },
    { x: (i + 1) / bins, y: share },
  ]);
  const closed = [{ x: 0, y: 0 }, ...points, { x: shares.length / bins, y: 0 }];
  return html`<polygon class="area ${series}" points="${path(closed, scale)}"/>`;
}

/** AUC of every week of validation and test; `testFrom` is drawn as a line between them. */
export function weeksPlot(weeks: readonly WeekMetrics[], testFrom: string, overall: number | null): Html {
  const shown = weeks.flatMap(({ week, metrics: { auc, rows, positives } }) => {
    if (auc === null) return [];
    const interval = aucInterval(auc, positives, rows - positives) ?? { low: auc, high: auc };
    return [{ week, at: Date.parse(week), auc, rows, ...interval }];
  });
  const low = Math.max(0, Math.floor(Math.min(0.98, ...shown.map((week) => week.low)) * 20) / 20);
  const high = Math.min(1, Math.ceil(Math.max(low + 0.02, ...shown.map((week) => week.high)) * 20) / 20);
  const halfWeek = 3.5 * 864e5;
  const first = shown[0]?.at ?? 0;
  const last = shown.at(-1)?.at ?? first;
  const every = Math.max(1, Math.ceil(shown.length / 7));
  const test = Date.parse(testFrom);
  return plot(
    {
      id: 'weeks',
      title: 'Quality by week',
      description: `AUC by week of prediction: ${shown.map(({ week, auc, rows }) => `${week} ${figure(auc)} on ${count(rows)} rows`).join('; ')}.`,
      caption: `AUC of the predictions asked in each week (the Monday is named, UTC), with 95 % intervals; the dotted line is the whole test period. A fall to the right is a model that ages.`,
      x: {
        label: 'week of prediction',
        low: first - halfWeek,
        high: last + halfWeek,
        ticks: shown.filter((_, i) => i % every === 0).map(({ at }) => at),
        text: (tick) => new Date(tick).toISOString().slice(5, 10),
      },
      y: { label: 'AUC', low, high, ticks: roundTicks(low, high, 5), text: (tick) => tick.toFixed(2) },
    },
    (scale) => [
      html`${overall !== null && html`<line class="reference" x1="${px(scale.left)}" y1="${px(scale.y(overall))}" x2="${px(scale.right)}" y2="${px(scale.y(overall))}"/>`}`,
      html`${test > first && test <= last + halfWeek && boundary(scale.x(test - halfWeek), scale)}`,
      ...shown.map((week) => whisker(scale.x(week.at), scale.y(week.low), scale.y(week.high))),
      html`<polyline class="line thin candidate" points="${path(
        shown.map(({ at, auc }) => ({ x: at, y: auc })),
        scale,
      )}"/>`,
      ...shown.map(
        ({ week, at, auc, rows }) =>
          html`<circle class="dot candidate" cx="${px(scale.x(at))}" cy="${px(scale.y(auc))}" r="4"><title>${week}: ${figure(auc)} on ${count(rows)} rows</title></circle>`,
      ),
    ],
  );
}

function boundary(x: number, scale: Scale): Html {
  return html`<line class="boundary" x1="${px(x)}" y1="${px(scale.top)}" x2="${px(x)}" y2="${px(scale.bottom)}"/><text class="note" x="${px(x - 6)}" y="${px(scale.top + 10)}" text-anchor="end">validate</text><text class="note" x="${px(x + 6)}" y="${px(scale.top + 10)}">test</text>`;
}
