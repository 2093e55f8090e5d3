/** Plots with a row a thing: feature importance, slices, and the periods of the split on one line of time. */
import type { TrainingSet } from '../../spec/artifacts.ts';
import { SPLITS } from '../../spec/artifacts.ts';
import type { SliceMetrics } from '../../spec/evaluation.ts';
import { aucInterval } from '../metrics.ts';
import { count, date, figure, percent, roundTicks } from './format.ts';
import { figureOf, plot, px, WIDTH } from './frame.ts';
import { type Html, html } from './html.ts';

const ROW = 22;
const LETTER = 6.6;
const MOST_NAME_WIDTH = 176;
/** Rows of a plot; the tables have them all. */
const SHOWN = 15;

/** Gain share per feature, highest first. */
export function importancePlot(importance: readonly { feature: string; share: number }[]): Html {
  const shown = importance.slice(0, SHOWN);
  const rest = importance.length - shown.length;
  const high = Math.max(0.01, ...shown.map(({ share }) => share)) * 1.12;
  const left = importance.slice(SHOWN).reduce((sum, { share }) => sum + share, 0);
  return plot(
    {
      id: 'importance',
      title: 'Feature importance',
      description: `Share of the gain: ${shown.map(({ feature, share }) => `${feature} ${percent(share)}`).join(', ')}.`,
      caption: `Share of the total gain that splits on each feature brought in training.${rest > 0 ? ` ${rest} more features share the remaining ${percent(left)}.` : ''} It says what the model uses, not what causes the outcome.`,
      x: {
        label: 'share of gain',
        low: 0,
        high,
        ticks: roundTicks(0, high, 5),
        text: (tick) => `${Number((tick * 100).toFixed(1))} %`,
      },
      y: { label: '', low: 0, high: 1, ticks: [], text: String },
      height: Math.max(1, shown.length) * ROW + 60,
      left: nameWidth(shown.map(({ feature }) => feature)),
    },
    (scale) =>
      shown.map(({ feature, share }, i) => {
        const top = scale.top + i * ROW;
        const width = scale.x(share) - scale.left;
        return html`${rowName(feature, scale.left, top)}<rect class="bar candidate" x="${px(scale.left)}" y="${px(top + 4)}" width="${px(width)}" height="${ROW - 8}" rx="2"/><text class="value" x="${px(scale.left + width + 5)}" y="${px(top + ROW / 2)}" dy="0.32em">${percent(share)}</text>`;
      }),
  );
}

/** AUC of each value of one column with its interval, against the whole test period. */
export function slicePlot(column: string, slices: readonly SliceMetrics[], overall: number | null, id: string): Html {
  const drawn = slices.flatMap(({ value, metrics: { auc, rows, positives } }) => {
    const interval = auc === null ? null : aucInterval(auc, positives, rows - positives);
    return auc === null || interval === null ? [] : [{ value, auc, rows, ...interval }];
  });
  const shown = drawn.slice(0, SHOWN);
  const values = [...shown.flatMap(({ low, high }) => [low, high]), overall ?? 0.5];
  const low = Math.max(0, Math.floor(Math.min(...values) * 20) / 20);
  const high = Math.min(1, Math.ceil(Math.max(...values, low + 0.05) * 20) / 20);
  const most = Math.max(1, ...shown.map(({ rows }) => rows));
  const hidden = slices.length - shown.length;
  return plot(
    {
      id,
      title: `Slices by ${column}`,
      description: `AUC on the test period by ${column}: ${shown.map(({ value, auc, rows }) => `${value} ${figure(auc)} on ${count(rows)} rows`).join('; ')}; ${figure(overall)} over all.`,
      caption: `AUC with 95 % interval, most rows first; the dotted line is all test rows (${figure(overall)}), a dot's area its rows.${hidden > 0 ? ` ${hidden} more in the table below.` : ''}`,
      x: { label: 'AUC', low, high, ticks: roundTicks(low, high), text: (tick) => tick.toFixed(2) },
      y: { label: '', low: 0, high: 1, ticks: [], text: String },
      height: Math.max(1, shown.length) * ROW + 60,
      left: nameWidth(shown.map(({ value }) => value)),
    },
    (scale) => [
      html`${overall !== null && html`<line class="reference" x1="${px(scale.x(overall))}" y1="${px(scale.top)}" x2="${px(scale.x(overall))}" y2="${px(scale.bottom)}"/>`}`,
      ...shown.map((slice, i) => {
        const top = scale.top + i * ROW;
        const y = px(top + ROW / 2);
        const radius = px(2.5 + 4.5 * Math.sqrt(slice.rows / most));
        return html`${rowName(slice.value, scale.left, top)}<line class="whisker" x1="${px(scale.x(slice.low))}" y1="${y}" x2="${px(scale.x(slice.high))}" y2="${y}"/><circle class="dot candidate" cx="${px(scale.x(slice.auc))}" cy="${y}" r="${radius}"><title>${slice.value}: ${figure(slice.auc)} on ${count(slice.rows)} rows</title></circle>`;
      }),
    ],
  );
}

/** Room for the longest name, within bounds. */
function nameWidth(names: readonly string[]): number {
  const longest = Math.max(0, ...names.map((name) => [...name].length));
  return Math.min(MOST_NAME_WIDTH, Math.max(56, 14 + longest * LETTER));
}

/** A row's name, cut where it would leave the plot; the whole of it as a hint. */
function rowName(name: string, left: number, top: number): Html {
  const most = Math.floor((left - 12) / LETTER);
  const letters = [...name];
  const text = letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : name;
  return html`<text class="name" x="${px(left - 8)}" y="${px(top + ROW / 2)}" dy="0.32em" text-anchor="end">${text}${text !== name && html`<title>${name}</title>`}</text>`;
}

/** Training, validation and test on one line of time, each as wide as it is long. */
export function timeline({ periods, rows, positives }: TrainingSet): Html {
  const width = WIDTH * 2;
  const start = Date.parse(periods.train.from);
  const end = Math.max(Date.parse(periods.test.to), start + 1);
  const x = (iso: string) => 1 + ((Date.parse(iso) - start) / (end - start)) * (width - 2);
  const share = (split: (typeof SPLITS)[number]) => (rows[split] === 0 ? 0 : positives[split] / rows[split]);
  const words = SPLITS.map(
    (split) =>
      `${split} from ${date(periods[split].from)} to ${date(periods[split].to)}: ${count(rows[split])} rows, ${percent(share(split))} positive`,
  );
  const bands = SPLITS.map((split) => {
    const from = x(periods[split].from);
    const to = x(periods[split].to);
    const middle = px((from + to) / 2);
    const wide = to - from > 70;
    const label = html`<text class="band-name" x="${middle}" y="24" text-anchor="middle">${split}</text><text class="band-rows" x="${middle}" y="41" text-anchor="middle">${count(rows[split])} rows</text>`;
    return html`<rect class="band ${split}" x="${px(from + 1)}" y="2" width="${px(Math.max(1, to - from - 2))}" height="52" rx="4"><title>${words[SPLITS.indexOf(split)] ?? ''}</title></rect>${wide && label}<text class="tick-text" x="${px(from + 1)}" y="72">${date(periods[split].from)}</text>`;
  });
  const svg = html`<svg viewBox="0 0 ${width} 80" role="img" aria-labelledby="split-title split-text"><title id="split-title">Periods of the split</title><desc id="split-text">${words.join('; ')}.</desc>${bands}<text class="tick-text" x="${width - 2}" y="72" text-anchor="end">${date(periods.test.to)}</text></svg>`;
  return figureOf(
    {
      title: 'Split by time',
      caption: 'Later periods are never seen while fitting; the test period is touched only here.',
    },
    svg,
  );
}
