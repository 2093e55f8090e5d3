/**
 * The page of `refit explore`: one HTML file that shows what a pipeline's data looks like. It needs nothing else: style and
 * drawings are inside, there is no script and no link. Whoever writes it somewhere is publish-exploration.ts.
 */
import { count, date, percent } from '../evaluation/report/format.ts';
import { type Html, html, trusted } from '../evaluation/report/html.ts';
import { STYLE } from '../evaluation/report/style.ts';
import type { Exploration } from '../spec/exploration.ts';
import { featureCard } from './page/feature-plots.ts';
import { correlationPlot, labelPlot, missingPlot } from './page/overview-plots.ts';
import { EXPLORE_STYLE } from './page/style.ts';
import * as tables from './page/tables.ts';

export interface ExplorePageInput {
  pipeline: string;
  question: string;
  /** ISO UTC. */
  asOf: string;
  exploration: Exploration;
}

/** The page as text. Pure: equal input, equal page. Every name and value from outside is escaped. */
export function renderExploration({ pipeline, question, asOf, exploration }: ExplorePageInput): string {
  const suspected = new Set(exploration.suspects.map(({ name }) => name));
  const cards = exploration.features.map((feature, i) =>
    featureCard(feature, exploration.rows, { suspect: suspected.has(feature.name), id: `feature-${i}` }),
  );
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${pipeline}: the data as of ${date(asOf)}</title><style>${trusted(STYLE + EXPLORE_STYLE)}</style></head>
<body><main>
<header><p class="eyebrow">Data of <b>${pipeline}</b> as of <b>${date(asOf)}</b> UTC</p><h1>${question}</h1></header>
${keyFigures(exploration)}
${tables.suspects(exploration)}
<section><h2>Over time</h2><div class="plots">${labelPlot(exploration)}${missingPlot(exploration)}</div></section>
<section><h2>Features</h2><p class="note-text">All rows in grey, those whose label is true in red; beside a category the share of them. Under a number: its quartiles, and where nine tenths of the rows lie. Top right: how well the feature alone tells the outcomes apart (0.5 is chance).</p>
<div class="grid-of-features">${cards}</div>${tables.featureTable(exploration)}</section>
${tables.outliers(exploration)}
<section><h2>Correlations</h2><div class="plots">${correlationPlot(exploration)}${tables.pairTable(exploration)}</div></section>
${tables.sources(exploration)}
<footer>Written by Refit. Counts, quantiles and shares are exact over all rows; AUC and correlations on ${count(exploration.sample)} rows. A category's AUC uses its rate in other rows, so that rare values do not flatter it.</footer>
</main></body></html>
`;
  return page.text;
}

function keyFigures({ rows, labelled, positives, features, from, to, sources }: Exploration): Html {
  const missing = features.filter((one) => one.missing > 0).length;
  const share = labelled === 0 ? '–' : percent(positives / labelled);
  const span = from === null || to === null ? 'no row' : `${date(from.slice(0, 10))} to ${date(to.slice(0, 10))}`;
  const rejected = sources.reduce((sum, one) => sum + one.rejected, 0);
  const oneClass = labelled > 0 && (positives === 0 || positives === labelled);
  return html`<div class="cards four">
<div class="card"><h3>Rows</h3><div class="big">${count(rows)}</div><p>${span}</p></div>
<div class="card"><h3>Label true</h3><div class="big">${share}</div><p>${oneClass ? html`<span class="worse">all labels are alike</span>` : `${count(positives)} of ${count(labelled)} with a label`}</p></div>
<div class="card"><h3>Features</h3><div class="big">${count(features.length)}</div><p>${missing === 0 ? 'none misses a value' : `${count(missing)} miss values`}</p></div>
<div class="card"><h3>Sources</h3><div class="big">${count(sources.length)}</div><p>${rejected === 0 ? 'no row rejected' : `${count(rejected)} row${rejected === 1 ? '' : 's'} rejected`}</p></div>
</div>`;
}
