/** The parts of the page that are words and figures: header, key figures, gates, data, search, lineage. */
import { SPLITS } from '../../spec/artifacts.ts';
import type { GateResult, Metrics, SliceMetrics } from '../../spec/evaluation.ts';
import { aucInterval } from '../metrics.ts';
import { count, date, figure, limitText, parameter, percent, signed } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportInput } from './input.ts';

export function header({ pipeline, question, asOf, gates }: ReportInput): Html {
  const failed = gates.filter(({ passed }) => !passed);
  return html`<header><p class="eyebrow">Evaluation of <b>${pipeline}</b> as of <b>${date(asOf)}</b> UTC</p>
<h1>${question}</h1>
<p class="verdict ${failed.length > 0 && 'failed'}"><b>${failed.length > 0 ? '✗' : '✓'}</b><b>${verdict(gates)}</b>
${failed.length > 0 && html`<span>${failed.map(({ name }) => name).join(' · ')}</span>`}</p></header>`;
}

/** In words, for the page's title too. */
export function verdict(gates: readonly GateResult[]): string {
  const failed = gates.filter(({ passed }) => !passed).length;
  if (gates.length === 0) return 'No gates declared';
  if (gates.length === 1) return failed > 0 ? 'The gate failed' : 'The gate passed';
  if (failed > 0) return `${failed} of ${gates.length} gates failed`;
  return `All ${gates.length} gates passed`;
}

const NAMES = { auc: 'AUC', logLoss: 'Log loss', brier: 'Brier score' } as const;
type Name = keyof typeof NAMES;

export function keyFigures({ evaluation, comparison }: ReportInput): Html {
  const { test, validate } = evaluation.metrics;
  const base = evaluation.baseline.test;
  const cards = (Object.keys(NAMES) as Name[]).map((name) => {
    const rows = [
      html`<dt>validation period</dt><dd>${figure(validate[name])}</dd><dd></dd>`,
      html`<dt>logistic baseline</dt><dd>${figure(base[name])}</dd>${difference(name, test, base)}`,
      championRow(name, comparison),
    ];
    const interval =
      name === 'auc' && test.auc !== null ? aucInterval(test.auc, test.positives, test.rows - test.positives) : null;
    const spread = interval !== null && html`<small>± ${((interval.high - interval.low) / 2).toFixed(4)}</small>`;
    return html`<div class="card"><h3>${NAMES[name]}</h3><div class="big">${figure(test[name])}${spread}</div><dl>${rows}</dl></div>`;
  });
  return html`<section><h2>Key figures</h2><p class="note-text">On the ${count(test.rows)} rows of the test period, ${percent(rate(test))} of them positive. AUC: higher is better; log loss and Brier score: lower is better. Beside the others: how the candidate differs from them on the same rows.${comparedRows(comparison)}</p><div class="cards">${cards}</div></section>`;
}

function championRow(name: Name, comparison: ReportInput['comparison']): Html | null {
  if (!comparison?.candidate || !comparison.championMetrics) return null;
  const { candidate, championMetrics, champion } = comparison;
  return html`<dt>champion v${champion.version}</dt><dd>${figure(championMetrics[name])}</dd>${difference(name, candidate, championMetrics)}`;
}

function comparedRows(comparison: ReportInput['comparison']): string {
  if (comparison === null) return ' No other model is champion yet.';
  if (comparison.reason !== undefined) return ` The champion could not be compared: ${comparison.reason}.`;
  const { champion, rows, period } = comparison;
  const since = period === null ? '' : `, from ${date(period.from)} to ${date(period.to)}`;
  return ` Champion version ${champion.version} (as of ${date(champion.asOf)}) is compared on ${count(rows)} rows that neither model saw${since}.`;
}

/** How much better or worse the candidate is, coloured by the metric's own direction. */
function difference(name: Name, ours: Metrics, theirs: Metrics): Html {
  const [a, b] = [ours[name], theirs[name]];
  if (a === null || b === null) return html`<dd></dd>`;
  const gain = name === 'auc' ? a - b : b - a;
  const tone = Math.abs(gain) < 5e-5 ? 'even' : gain > 0 ? 'better' : 'worse';
  return html`<dd class="${tone}">${signed(a - b)}</dd>`;
}

function rate({ rows, positives }: Metrics): number {
  return rows === 0 ? 0 : positives / rows;
}

export function gatesTable({ gates }: ReportInput): Html {
  if (gates.length === 0) return html``;
  const rows = gates.map(({ name, passed, value, limit, reason }) => {
    const mark = passed
      ? html`<td class="mark better" aria-label="passed">✓</td>`
      : html`<td class="mark worse" aria-label="failed">✗</td>`;
    return html`<tr>${mark}<td class="name">${name}</td><td class="n">${limitText(value)}</td><td class="n">${limitText(limit)}</td><td>${reason}</td></tr>`;
  });
  return html`<section><h2>Gates</h2><div class="scroll"><table><thead><tr><th></th><th>gate</th><th class="n">value</th><th class="n">limit</th><th>reason</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

/** Every slice with all its figures, folded away. */
export function sliceTable(slices: readonly SliceMetrics[]): Html {
  if (slices.length === 0) return html``;
  const rows = slices.map(
    ({ column, value, metrics }) =>
      html`<tr><td>${column}</td><td class="name">${value}</td><td class="n">${count(metrics.rows)}</td><td class="n">${percent(rate(metrics))}</td><td class="n">${figure(metrics.auc)}</td><td class="n">${figure(metrics.logLoss)}</td><td class="n">${figure(metrics.brier)}</td></tr>`,
  );
  return html`<details><summary>All ${slices.length} slices in figures</summary><div class="scroll"><table><thead><tr><th>column</th><th>value</th><th class="n">rows</th><th class="n">positive</th><th class="n">AUC</th><th class="n">log loss</th><th class="n">Brier</th></tr></thead><tbody>${rows}</tbody></table></div></details>`;
}

export function splitTable({ trainingSet: { rows, positives, periods, excluded } }: ReportInput): Html {
  const lines = SPLITS.map(
    (split) =>
      html`<tr><td class="name">${split}</td><td>${date(periods[split].from)}</td><td>${date(periods[split].to)}</td><td class="n">${count(rows[split])}</td><td class="n">${count(positives[split])}</td><td class="n">${percent(rows[split] === 0 ? 0 : positives[split] / rows[split])}</td></tr>`,
  );
  return html`<div class="scroll"><table><thead><tr><th>period</th><th>from</th><th>until before</th><th class="n">rows</th><th class="n">positive</th><th class="n">share</th></tr></thead><tbody>${lines}</tbody></table></div>
<p class="note-text">Left out: ${count(excluded.unlabelled)} rows without an outcome, ${count(excluded.labelLate)} whose outcome was not known before the next period began.</p>`;
}

/** Trainer, rounds and parameters, as a card beside the plot of importance. */
export function modelFacts({ model, baseline, trainingSet }: ReportInput): Html {
  const views = new Set(trainingSet.features.map(({ view }) => view));
  const rounds =
    model.rounds === model.roundsTrained
      ? count(model.rounds)
      : `${count(model.rounds)} kept of ${count(model.roundsTrained)} (early stopping)`;
  const facts: [string, string][] = [
    ['trainer', model.trainer],
    ['features', `${model.features.length}, from ${views.size} view${views.size === 1 ? '' : 's'}`],
    ['rounds', rounds],
    ['baseline', `${baseline.trainer}, ${baseline.features.length} features`],
  ];
  const parameters = Object.entries(model.params).sort(([a], [b]) => (a < b ? -1 : 1));
  return html`<div class="card"><h3>Trainer and parameters</h3><table><tbody>
${facts.map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}
${parameters.map(([name, value]) => html`<tr><th>${name}</th><td><code>${parameter(value)}</code></td></tr>`)}
</tbody></table></div>`;
}

/** Trials in order of their loss, the best marked. */
export function trialsTable({ trials }: ReportInput): Html {
  if (trials.length === 0) return html``;
  const names = [...new Set(trials.flatMap(({ params }) => Object.keys(params)))].sort();
  const sorted = [...trials].sort((a, b) => a.logLoss - b.logLoss || a.trial - b.trial);
  const rows = sorted.map(
    ({ trial, params, logLoss, rounds }, i) =>
      html`<tr class="${i === 0 && 'best'}"><td class="n">${trial}</td><td class="n">${figure(logLoss)}</td><td class="n">${count(rounds)}</td>${names.map((name) => html`<td class="n">${parameter(params[name] ?? '–')}</td>`)}</tr>`,
  );
  return html`<section><h2>Search</h2><p class="note-text">${trials.length} trials, scored by log loss on the validation period; the best one's parameters were taken.</p><div class="scroll"><table><thead><tr><th class="n">trial</th><th class="n">log loss</th><th class="n">rounds</th>${names.map((name) => html`<th class="n">${name}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

export function lineage({ snapshots, trainingSet, model, specDigest }: ReportInput): Html {
  const sources = snapshots.map(
    ({ source, id, rows, quarantined, newestEvent, partitions }) =>
      html`<tr><td class="name">${source}</td><td class="n">${count(partitions.length)}</td><td class="n">${count(rows)}</td><td class="n">${count(quarantined)}</td><td>${newestEvent === null ? '–' : date(newestEvent)}</td><td><code>${id}</code></td></tr>`,
  );
  const digests: [string, string][] = [
    ['pipeline declaration', specDigest],
    ['training set (logical)', trainingSet.digest],
    ['native model', model.native.sha256],
    ['model.onnx', model.onnx.sha256],
  ];
  return html`<section><h2>Lineage</h2>
${sources.length > 0 && html`<div class="scroll"><table><thead><tr><th>source</th><th class="n">files</th><th class="n">rows known</th><th class="n">quarantined</th><th>newest event</th><th>snapshot</th></tr></thead><tbody>${sources}</tbody></table></div>`}
<div class="scroll"><table><thead><tr><th>artefact</th><th>digest</th></tr></thead><tbody>${digests.map(([name, digest]) => html`<tr><td class="name">${name}</td><td><code>${digest}</code></td></tr>`)}</tbody></table></div></section>`;
}
