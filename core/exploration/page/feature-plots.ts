/** A small plot of each feature: how its values are spread, and how the outcome goes with them. */
import { count, parameter, percent } from '../../evaluation/report/format.ts';
import { px } from '../../evaluation/report/frame.ts';
import { type Html, html } from '../../evaluation/report/html.ts';
import type { CategoryFigures, FeatureFigures, NumberFigures } from '../../spec/exploration.ts';

const WIDTH = 300;
const HEIGHT = 124;
const FOOT = 20;
const ROW = 17;
const LETTER = 6.2;

interface Bar {
  rows: number;
  labelled: number;
  positives: number;
}

/** `suspect`: it is one; `rate`: share of positives over all. */
export function featureCard(
  feature: FeatureFigures,
  rows: number,
  { suspect, id }: { suspect: boolean; id: string },
): Html {
  const { name, kind, view, missing, distinct, auc, notes } = feature;
  const facts = [
    kind === 'number' ? 'number' : `${count(distinct)} value${distinct === 1 ? '' : 's'}`,
    missing > 0 ? `${missing / rows < 0.0005 ? '< 0.1 %' : percent(missing / rows)} missing` : '',
    ...notes.filter((note) => note !== 'mostly missing'),
  ].filter(Boolean);
  const drawing = feature.number
    ? numberPlot(name, feature.number, id)
    : feature.category
      ? categoryPlot(name, feature.category, id)
      : html`<p class="note">No value to draw.</p>`;
  return html`<figure class="feature ${suspect && 'suspect'}"><h3>${auc !== null && html`<span class="auc" title="AUC of this feature alone">${auc.toFixed(3)}</span>`}${name}</h3><p class="tag">${view} · ${facts.join(' · ')}</p>
${drawing}</figure>`;
}

const rateOf = ({ labelled, positives }: Bar): number | null => (labelled === 0 ? null : positives / labelled);

/** Bars of rows, the positives inside them; above, the share of positives as a line; below, the quartiles as a box. */
function numberPlot(name: string, { histogram, quantiles, min, max, outliers }: NumberFigures, id: string): Html {
  const most = Math.max(1, ...histogram.map(({ rows }) => rows));
  const bottom = HEIGHT - FOOT - 12;
  const wide = WIDTH / Math.max(1, histogram.length);
  const top = 6;
  const tall = (rows: number) => (rows / most) * (bottom - top);
  const bars = histogram.map((bar, i) => {
    const x = px(i * wide + 0.5);
    const width = px(Math.max(0.5, wide - 1));
    const range = bar.from === bar.to ? short(bar.from) : `${short(bar.from)} to ${short(bar.to)}`;
    return html`<g><title>${range}: ${hint(bar)}</title><rect class="rows-of" x="${x}" y="${px(bottom - tall(bar.rows))}" width="${width}" height="${px(tall(bar.rows))}"/><rect class="positives-of" x="${x}" y="${px(bottom - tall(bar.positives))}" width="${width}" height="${px(tall(bar.positives))}"/></g>`;
  });
  const [low, high] = [histogram[0]?.from ?? min, histogram.at(-1)?.to ?? max];
  const few = low === high || histogram.every(({ from, to }) => from === to);
  const position = (value: number) => {
    const at = few
      ? histogram.findIndex(({ from }) => from >= value) + 0.5
      : ((value - low) / (high - low)) * histogram.length;
    return Math.min(WIDTH, Math.max(0, at * wide));
  };
  const out = outliers.below + outliers.above;
  const words = `${name}: from ${short(min)} to ${short(max)}, median ${short(quantiles[3] ?? min)}${out > 0 ? `, ${count(out)} outliers` : ''}.`;
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${id}"><title id="${id}">${words}</title>
<line class="axis" x1="0" y1="${bottom}" x2="${WIDTH}" y2="${bottom}"/>${bars}${box(quantiles, position, bottom + 6)}
<text class="tick-text" x="0" y="${HEIGHT - 3}">${short(low)}</text><text class="tick-text" x="${WIDTH / 2}" y="${HEIGHT - 3}" text-anchor="middle">median ${short(quantiles[3] ?? min)}</text><text class="tick-text" x="${WIDTH}" y="${HEIGHT - 3}" text-anchor="end">${short(high)}</text></svg>`;
}

/** 5 % to 95 % as a line, the quartiles as a box, the median in it. */
function box(quantiles: readonly number[], position: (value: number) => number, y: number): Html {
  const [, p05 = 0, q1 = 0, median = 0, q3 = 0, p95 = 0] = quantiles;
  const middle = px(position(median));
  return html`<g><title>5 % ${short(p05)}, quartiles ${short(q1)} and ${short(q3)}, 95 % ${short(p95)}</title><line class="box" x1="${px(position(p05))}" y1="${y}" x2="${px(position(p95))}" y2="${y}"/><rect class="box" fill="none" x="${px(position(q1))}" y="${y - 3}" width="${px(Math.max(0.5, position(q3) - position(q1)))}" height="6"/><line class="box median" x1="${middle}" y1="${y - 4}" x2="${middle}" y2="${y + 4}"/></g>`;
}

/** A row a value: bar of rows, positives inside, and the share of positives in figures. */
function categoryPlot(name: string, { top, other }: CategoryFigures, id: string): Html {
  const shown: (Bar & { value: string; rest?: boolean })[] = [
    ...top.slice(0, other.rows > 0 ? 5 : 6),
    ...rest(top.slice(other.rows > 0 ? 5 : 6), other),
  ];
  const most = Math.max(1, ...shown.map(({ rows }) => rows));
  const left = 86;
  const right = 48;
  const width = (rows: number) => (rows / most) * (WIDTH - left - right);
  const letters = Math.floor((left - 8) / LETTER);
  const lines = shown.map((bar, i) => {
    const y = 4 + i * ROW;
    const cut = [...bar.value].length > letters ? `${[...bar.value].slice(0, letters - 1).join('')}…` : bar.value;
    const rate = rateOf(bar);
    return html`<g><title>${bar.value}: ${hint(bar)}</title><text class="${bar.rest ? 'tick-text' : 'name'}" x="${left - 7}" y="${y + ROW / 2}" dy="0.32em" text-anchor="end">${cut}</text><rect class="rows-of" x="${left}" y="${y + 2}" width="${px(width(bar.rows))}" height="${ROW - 4}"/><rect class="positives-of" x="${left}" y="${y + 2}" width="${px(width(bar.positives))}" height="${ROW - 4}"/><text class="value" x="${WIDTH}" y="${y + ROW / 2}" dy="0.32em" text-anchor="end">${rate === null ? '–' : percent(rate)}</text></g>`;
  });
  const words = `${name}: ${top
    .slice(0, 5)
    .map((bar) => `${bar.value} ${count(bar.rows)}`)
    .join(', ')}.`;
  const height = Math.max(HEIGHT, 8 + shown.length * ROW);
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}"><title id="${id}">${words}</title>${lines}</svg>`;
}

/** What is not drawn by name, in one bar. */
function rest(hidden: readonly Bar[], other: Bar): (Bar & { value: string; rest: boolean })[] {
  const sum = { ...other };
  for (const bar of hidden) {
    sum.rows += bar.rows;
    sum.labelled += bar.labelled;
    sum.positives += bar.positives;
  }
  return sum.rows === 0 ? [] : [{ ...sum, value: 'others', rest: true }];
}

function hint(bar: Bar): string {
  const rate = rateOf(bar);
  return `${count(bar.rows)} rows${rate === null ? '' : `, ${percent(rate)} positive`}`;
}

/** Four significant digits: 12,340,000 is 1.234e7 and takes as much room. */
export function short(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace('e+', 'e').replace('-', '−');
  return parameter(Number(value.toPrecision(4))).replace('-', '−');
}
