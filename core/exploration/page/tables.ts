/** The parts of the page that are words and figures: suspects, all features, outliers, pairs, sources. */
import { count, date, percent } from '../../evaluation/report/format.ts';
import { type Html, html } from '../../evaluation/report/html.ts';
import type { Exploration, FeatureFigures, SourceFigures, Suspect } from '../../spec/exploration.ts';
import { short } from './feature-plots.ts';

const KINDS: Record<Suspect['why'], string> = {
  'predicts-alone': 'predicts too well alone',
  'missing-tells': 'filled in by the outcome?',
  'known-late': 'known too late',
  'never-known': 'not known in time',
};

export function suspects({ suspects: all, limit, features }: Exploration): Html {
  const best = features
    .flatMap(({ auc, name }) => (auc === null ? [] : [{ auc, name }]))
    .sort((a, b) => b.auc - a.auc)[0];
  const fine = best
    ? `No feature alone reaches an AUC of ${limit} (the best is ${best.name} with ${best.auc.toFixed(3)}), and none is known too late.`
    : 'Nothing can be said: there are fewer than five rows of one of the outcomes.';
  if (all.length === 0) {
    return html`<section><h2>Leakage suspects</h2><p class="verdict ${best === undefined && 'failed'}"><b>${best ? '✓' : '–'}</b><span>${fine}</span></p></section>`;
  }
  const items = all.map(
    ({ name, why, reason }) =>
      html`<li><b>${name}</b><span class="tag">${KINDS[why]}</span><span>${reason}</span></li>`,
  );
  return html`<section><h2>Leakage suspects</h2><p class="note-text">A suspicion is a question, not a verdict: could this be known when the prediction is asked for?</p><ul class="suspects">${items}</ul></section>`;
}

/** Every feature in figures. */
export function featureTable({ features, rows, suspects: all }: Exploration): Html {
  const suspected = new Set(all.map(({ name }) => name));
  const lines = features.map((one) => {
    const share = rows === 0 ? 0 : one.missing / rows;
    const flag = suspected.has(one.name) ? html`<span class="flag">suspect</span>` : null;
    return html`<tr><td class="name">${one.name}</td><td>${one.view}</td><td class="bar-cell"><span class="meter" style="width:${Math.round(share * 56)}px"></span> ${share === 0 ? '–' : percent(share)}</td><td class="n">${count(one.distinct)}</td><td class="n">${middle(one)}</td><td class="n">${range(one)}</td><td class="n">${one.auc === null ? '–' : one.auc.toFixed(3)}</td><td>${flag}${flag !== null && one.notes.length > 0 && ', '}${one.notes.join(', ')}</td></tr>`;
  });
  return html`<details open><summary>All ${count(features.length)} features in figures</summary><div class="scroll"><table><thead><tr><th>feature</th><th>view</th><th>missing</th><th class="n">values</th><th class="n">median or most frequent</th><th class="n">range</th><th class="n">AUC alone</th><th></th></tr></thead><tbody>${lines}</tbody></table></div></details>`;
}

const middle = ({ number, category }: FeatureFigures) =>
  number ? short(number.quantiles[3] ?? number.mean) : (category?.top[0]?.value ?? '–');
const range = ({ number }: FeatureFigures) => (number ? `${short(number.min)} … ${short(number.max)}` : '–');

const OUTLIERS_SHOWN = 20;

export function outliers({ features, rows }: Exploration): Html {
  const found = features
    .flatMap(({ name, number, missing }) => {
      const out = number ? number.outliers.below + number.outliers.above : 0;
      return number && out > 0 ? [{ name, number, out, share: out / Math.max(1, rows - missing) }] : [];
    })
    .sort((a, b) => b.share - a.share);
  if (found.length === 0)
    return html`<section><h2>Outliers</h2><p class="note-text">No number lies beyond three times the distance of its quartiles.</p></section>`;
  const lines = found
    .slice(0, OUTLIERS_SHOWN)
    .map(
      ({ name, number, out, share }) =>
        html`<tr><td class="name">${name}</td><td class="n">${count(out)}</td><td class="n">${percent(share)}</td><td class="n">${short(number.outliers.low)} … ${short(number.outliers.high)}</td><td class="n">${short(number.min)}</td><td class="n">${short(number.max)}</td></tr>`,
    );
  const hidden = found.length - lines.length;
  return html`<section><h2>Outliers</h2><p class="note-text">Values beyond the quartiles by more than three times their distance (Tukey's outer fences). Trees do not mind them; linear models do: transforms can cap them.${hidden > 0 ? ` ${hidden} more features have some.` : ''}</p><div class="scroll"><table><thead><tr><th>feature</th><th class="n">rows</th><th class="n">share</th><th class="n">fences</th><th class="n">smallest</th><th class="n">largest</th></tr></thead><tbody>${lines}</tbody></table></div></section>`;
}

export function pairTable({ pairs }: Exploration): Html {
  if (pairs.length === 0) return html``;
  const lines = pairs.map(
    ({ a, b, r }) =>
      html`<tr><td class="name">${a}</td><td class="name">${b}</td><td class="n">${r.toFixed(3).replace('-', '−')}</td></tr>`,
  );
  return html`<div class="card"><h3>Strongest pairs</h3><div class="scroll"><table><tbody>${lines}</tbody></table></div></div>`;
}

export function sources({ sources: all }: Exploration): Html {
  const lines = all.map(
    (one) =>
      html`<tr><td class="name">${one.name}</td><td class="n">${count(one.files)}</td><td class="n">${count(one.rows)}</td><td class="n">${count(one.rejected)}</td><td>${one.newestEvent === null ? '–' : date(one.newestEvent)}</td><td><code>${one.snapshot.slice(0, 16)}</code></td><td>${one.rules.map(({ rule, count: n }) => `${rule} (${count(n)})`).join('; ')}</td></tr>`,
  );
  return html`<section><h2>Sources</h2><div class="scroll"><table><thead><tr><th>source</th><th class="n">files</th><th class="n">rows known</th><th class="n">rejected</th><th>newest event</th><th>snapshot</th><th>broken rules</th></tr></thead><tbody>${lines}</tbody></table></div>${all.map(profile)}</section>`;
}

/** Columns of one source, folded away. */
function profile({ name, columns }: SourceFigures): Html {
  if (columns.length === 0) return html``;
  const spine = columns.some(({ lateShare }) => lateShare !== null);
  const lines = columns.map(
    (one) =>
      html`<tr><td class="name">${one.name}</td><td>${one.type}</td><td class="n">${one.missingShare === 0 ? '–' : percent(one.missingShare)}</td><td class="n">${count(one.distinct)}</td><td>${one.min ?? '–'}</td><td>${one.max ?? '–'}</td>${spine && html`<td class="n ${(one.lateShare ?? 0) > 0.5 && 'worse'}">${(one.lateShare ?? 0) === 0 ? '–' : percent(one.lateShare ?? 0)}</td>`}<td class="n">${one.unknownShare === 0 ? '–' : percent(one.unknownShare)}</td></tr>`,
  );
  return html`<details><summary>Columns of ${name}: ${count(columns.length)}</summary><div class="scroll"><table><thead><tr><th>column</th><th>type</th><th class="n">missing</th><th class="n">values, about</th><th>smallest</th><th>largest</th>${spine && html`<th class="n">known after the prediction</th>`}<th class="n">not known yet</th></tr></thead><tbody>${lines}</tbody></table></div></details>`;
}
