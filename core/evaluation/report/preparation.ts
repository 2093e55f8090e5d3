/** The part of the page that tells how raw features became the model's columns: transforms, and what selection dropped. */
import type { FittedStage, SelectionReport } from '../../spec/transforms.ts';
import { count, figure, percent } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportInput } from './input.ts';

export function preparation({ transforms, selection }: ReportInput): Html {
  if (!transforms && !selection) return html``;
  return html`${transforms ? transformsTable(transforms.stages, transforms.columns.length) : null}${selection ? selectionTable(selection) : null}`;
}

/** Longer lists are cut: the fitted parameters have them all. */
const SHOWN = 12;

function transformsTable(stages: readonly FittedStage[], columns: number): Html {
  const rows = stages.map((stage, i) => {
    const lines = (stage.items as FittedStage['items'][number][]).map((item) => wordsOf(item));
    const rest = lines.length - SHOWN;
    const shown = lines.slice(0, SHOWN).map((line) => html`<div><code>${line}</code></div>`);
    return html`<tr><td class="n">${i + 1}</td><td class="name">${NAMES[stage.op]}</td><td>${shown}${rest > 0 && html`<div>and ${count(rest)} more</div>`}</td></tr>`;
  });
  return html`<section><h2>Transforms</h2><p class="note-text">Fitted on the training rows, applied in this order, and part of model.onnx; they leave ${count(columns)} columns.</p><div class="scroll"><table><thead><tr><th class="n"></th><th>transform</th><th>columns</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

const NAMES: Record<FittedStage['op'], string> = {
  impute: 'fill missing',
  affine: 'scale',
  log: 'logarithm',
  product: 'product',
  bin: 'bin',
  encode: 'encode',
  oneHot: 'one-hot',
  clip: 'cap',
};

const short = (x: number): string => String(Number(x.toPrecision(5)));

/** What was fitted, in a line. */
function wordsOf(item: FittedStage['items'][number]): string {
  if ('left' in item) return `${item.to} = ${item.left} × ${item.right}`;
  if ('fill' in item) return `${item.to}: ${typeof item.fill === 'number' ? short(item.fill) : item.fill}`;
  if ('shift' in item) return `${item.to} = (${item.column} − ${short(item.shift)}) / ${short(item.scale)}`;
  if ('signed' in item) return `${item.to} = ${item.signed ? '± ln(1 + |x|)' : 'ln(1 + x)'}`;
  if ('edges' in item) return `${item.to}: ${item.edges.length + 1} bins`;
  if ('low' in item) return `${item.to}: ${short(item.low)} to ${short(item.high)}`;
  if ('values' in item) return `${item.to}: ${item.levels.length} values`;
  return `${item.column}: ${item.levels.length} columns`;
}

function selectionTable({ kept, dropped, rounds, unused }: SelectionReport): Html {
  const why = ({ by, value, with: twin }: SelectionReport['dropped'][number]): string => {
    if (by === 'correlation') return `correlation of ${figure(value)} with ${twin ?? 'another'}`;
    return `${percent(value)} of the gain${by === 'elimination' ? ', eliminated' : ''}`;
  };
  const rows = dropped.map((one) => html`<tr><td class="name">${one.column}</td><td>${why(one)}</td></tr>`);
  const trainings = rounds.map(
    ({ columns, logLoss }) => html`<tr><td class="n">${count(columns)}</td><td class="n">${figure(logLoss)}</td></tr>`,
  );
  return html`<section><h2>Feature selection</h2><p class="note-text">${count(kept.length)} of ${count(kept.length + dropped.length)} columns stay, judged on the training and validation periods.${unused.length > 0 && ` The model does not need ${unused.join(', ')} any more.`}</p><div class="plots">
${rows.length > 0 && html`<div class="scroll"><table><thead><tr><th>dropped</th><th>because of</th></tr></thead><tbody>${rows}</tbody></table></div>`}
${trainings.length > 0 && html`<div class="scroll"><table><thead><tr><th class="n">columns</th><th class="n">log loss (validation)</th></tr></thead><tbody>${trainings}</tbody></table></div>`}</div></section>`;
}
