/** Plots of the whole: label over time, missing values over time, correlations. */
import { count, date, percent, roundTicks } from '../../evaluation/report/format.ts';
import { figureOf, path, plot, px } from '../../evaluation/report/frame.ts';
import { type Html, html } from '../../evaluation/report/html.ts';
import type { Exploration } from '../../spec/exploration.ts';

/** Share of positives as a line over bars of rows. */
export function labelPlot({ time: { unit, bins } }: Exploration): Html {
  const rates = bins.map(({ labelled, positives }) => (labelled === 0 ? null : positives / labelled));
  const most = Math.max(1, ...bins.map(({ rows }) => rows));
  const high = Math.min(1, Math.max(0.05, ...rates.map((rate) => rate ?? 0)) * 1.25);
  const [first, last] = [bins[0], bins.at(-1)];
  const known = rates.flatMap((rate) => (rate === null ? [] : [rate]));
  const span =
    known.length === 0
      ? 'no label is known'
      : `between ${percent(Math.min(...known))} and ${percent(Math.max(...known))} positive`;
  const ticks = [1 / 6, 1 / 2, 5 / 6].map((part) => Math.floor((bins.length - 1) * part));
  return plot(
    {
      id: 'label-over-time',
      left: 66,
      title: 'Label over time',
      description: `By ${unit}, from ${first ? date(first.at) : 'nowhere'} to ${last ? date(last.at) : 'nowhere'}: ${span}.`,
      caption: `Share of rows whose label is true, by ${unit} of the prediction time; the bars count rows (the tallest ${count(most)}). A jump is a change of the world, or of how the label is made.`,
      x: {
        label: '',
        low: -0.5,
        high: Math.max(0.5, bins.length - 0.5),
        ticks: [...new Set(ticks)],
        text: (tick) => (bins[tick] ? date((bins[tick] as { at: string }).at) : ''),
      },
      y: {
        label: 'label true',
        low: 0,
        high,
        ticks: roundTicks(0, high, 5),
        text: (tick) => `${Number((tick * 100).toFixed(1))} %`,
      },
    },
    (scale) => {
      const wide = (scale.right - scale.left) / Math.max(1, bins.length);
      const bars = bins.map(({ rows, at }, i) => {
        const tall = (rows / most) * (scale.bottom - scale.top) * 0.8;
        return html`<rect class="rows-of" x="${px(scale.x(i) - wide / 2 + 0.4)}" y="${px(scale.bottom - tall)}" width="${px(Math.max(0.4, wide - 0.8))}" height="${px(tall)}"><title>${date(at)}: ${count(rows)} rows${rates[i] == null ? '' : `, ${percent(rates[i] ?? 0)} positive`}</title></rect>`;
      });
      const points = rates.flatMap((rate, i) => (rate === null ? [] : [{ x: i, y: rate }]));
      const dots =
        points.length > 60
          ? []
          : points.map(
              ({ x, y }) => html`<circle class="rate-dot" cx="${px(scale.x(x))}" cy="${px(scale.y(y))}" r="2.4"/>`,
            );
      return [...bars, html`<polyline class="rate" points="${path(points, scale)}"/>`, ...dots];
    },
  );
}

const NAME = 150;
const CELL = 24;
const LETTER = 6.3;
const MISSING_SHOWN = 24;

const cut = (name: string, width: number) => {
  const letters = Math.floor(width / LETTER);
  return [...name].length > letters ? `${[...name].slice(0, letters - 1).join('')}…` : name;
};

/** Features with missing values, most first, by twenty-fourths of the time. */
export function missingPlot({ features, rows, from, to }: Exploration): Html {
  const missing = features.filter((one) => one.missing > 0).sort((a, b) => b.missing - a.missing);
  if (missing.length === 0 || from === null || to === null) {
    return figureOf({ title: 'Missing values', caption: 'No feature misses a value.' }, html``);
  }
  const shown = missing.slice(0, MISSING_SHOWN);
  const bins = shown[0]?.missingOverTime.length ?? 0;
  const row = 19;
  const width = 520;
  const wide = (width - NAME - 58) / Math.max(1, bins);
  const height = shown.length * row + 24;
  const lines = shown.map((one, i) => {
    const y = i * row;
    const cells = one.missingOverTime.map(
      (share, at) =>
        html`<rect class="cell ${share > 0 ? 'miss' : 'none'}" x="${px(NAME + at * wide)}" y="${y + 2}" width="${px(wide - 0.6)}" height="${row - 4}"${share > 0 && html` fill-opacity="${(0.12 + 0.88 * share).toFixed(2)}"`}><title>${percent(share)}</title></rect>`,
    );
    return html`<text class="name" x="${NAME - 8}" y="${y + row / 2}" dy="0.32em" text-anchor="end">${cut(one.name, NAME - 10)}<title>${one.name}</title></text>${cells}<text class="value" x="${width}" y="${y + row / 2}" dy="0.32em" text-anchor="end">${one.missing / rows < 0.0005 ? '< 0.1 %' : percent(one.missing / rows)}</text>`;
  });
  const words = shown.map((one) => `${one.name} ${percent(one.missing / rows)}`).join(', ');
  const svg = html`<svg class="heat" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="missing-title missing-text"><title id="missing-title">Missing values over time</title><desc id="missing-text">${words}.</desc>${lines}<text class="tick-text" x="${NAME}" y="${height - 4}">${date(from)}</text><text class="tick-text" x="${px(NAME + bins * wide)}" y="${height - 4}" text-anchor="end">${date(to)}</text></svg>`;
  const hidden = missing.length - shown.length;
  return figureOf(
    {
      title: 'Missing values',
      caption: `Share of rows without a value, from the oldest to the newest rows; the stronger the colour, the more. A change over time is a source that broke, or began.${hidden > 0 ? ` ${hidden} more in the table below.` : ''}`,
    },
    svg,
  );
}

/** Lower triangle of the rank correlations. */
export function correlationPlot({ correlations: { names, matrix }, sample }: Exploration): Html {
  if (names.length < 2) {
    return figureOf({ title: 'Correlations', caption: 'There are not two numbers that vary.' }, html``);
  }
  const cell = Math.min(CELL, Math.max(10, Math.floor(520 / names.length)));
  const width = NAME + names.length * cell + 4;
  const height = names.length * cell + 6;
  const written = cell >= 22;
  const lines = names.map((name, i) => {
    const y = i * cell;
    const cells = (matrix[i] ?? []).slice(0, i).map((r, j) => {
      const x = NAME + j * cell;
      const tone = r === null ? 'none' : r >= 0 ? 'plus' : 'minus';
      const opacity = r !== null && html` fill-opacity="${(0.04 + 0.96 * Math.abs(r)).toFixed(2)}"`;
      const value = r === null ? 'cannot be told' : r.toFixed(2).replace('-', '−');
      const text = written && r !== null && Math.abs(r) >= 0.3;
      return html`<rect class="cell ${tone}" x="${x}" y="${y}" width="${cell - 1}" height="${cell - 1}"${opacity}><title>${name} and ${names[j] ?? ''}: ${value}</title></rect>${text && html`<text x="${x + cell / 2 - 0.5}" y="${y + cell / 2}" dy="0.32em" text-anchor="middle" style="font-size:9px;fill:var(--ink)">${Math.round(Math.abs(r) * 100)}</text>`}`;
    });
    return html`<text class="name" x="${NAME - 8}" y="${y + cell / 2}" dy="0.32em" text-anchor="end">${cut(name, NAME - 10)}<title>${name}</title></text>${cells}<text class="tick-text" x="${NAME + i * cell + 4}" y="${y + cell / 2}" dy="0.32em">${i < names.length - 1 ? cut(name, Math.max(0, width - NAME - i * cell - 6)) : ''}</text>`;
  });
  const svg = html`<svg class="heat" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="correlations-title correlations-text"><title id="correlations-title">Rank correlations</title><desc id="correlations-text">Of ${names.join(', ')}.</desc>${lines}</svg>`;
  return figureOf(
    {
      title: 'Rank correlations',
      caption: `Spearman's rank correlation of ${count(names.length)} numbers on ${count(sample)} rows: blue rises with, red against. Strong ties mean that one of the two would do.`,
    },
    svg,
  );
}
