import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelCurves, scoreHistogram } from '../../core/evaluation/curves.ts';
import { metricsOf } from '../../core/evaluation/metrics.ts';
import { publishReport } from '../../core/evaluation/publish-report.ts';
import { roundTicks } from '../../core/evaluation/report/format.ts';
import { html } from '../../core/evaluation/report/html.ts';
import type { ReportInput } from '../../core/evaluation/report/input.ts';
import { renderReport } from '../../core/evaluation/report-page.ts';
import { createBlobStore } from '../../core/store/blobs.ts';
import { createFolderStore } from '../../core/store/folder-store.ts';
import type { StepContext } from '../../core/store/step.ts';
import { reportInput } from './report.fixture.ts';

const input = reportInput();
const page = renderReport(input);

/** What a reader sees: no style, no tags. */
function textOf(source: string): string {
  return source
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');
}

/** The page with a name where names can stand, all hostile. */
function hostile(name: string): ReportInput {
  const [source] = input.snapshots;
  const [slice] = input.evaluation.slices;
  const [trial] = input.trials;
  if (!source || !slice || !trial) throw new Error('the fixture is empty');
  return {
    ...input,
    pipeline: name,
    question: name,
    specDigest: name,
    gates: [{ name, passed: false, value: null, limit: null, reason: name }],
    snapshots: [{ ...source, source: name, id: name }],
    trials: [{ ...trial, params: { [name]: 1 } }],
    model: { ...input.model, trainer: name, params: { [name]: name } },
    evaluation: { ...input.evaluation, slices: [{ ...slice, column: name, value: name }] },
    curves: { ...input.curves, importance: [{ feature: name, share: 1 }] },
  };
}

describe('the evaluation page', () => {
  it('shows question, date, verdict and the figures of candidate, baseline and champion', () => {
    const text = textOf(page);
    const { evaluation, comparison } = input;
    expect(text).toContain(input.question);
    expect(text).toContain('2014-01-01');
    expect(text).toContain('All 5 gates passed');
    for (const metrics of [
      evaluation.metrics.test,
      evaluation.metrics.validate,
      evaluation.baseline.test,
      comparison?.championMetrics,
    ]) {
      expect(text).toContain(metrics?.auc?.toFixed(4));
      expect(text).toContain(metrics?.logLoss.toFixed(4));
      expect(text).toContain(metrics?.brier.toFixed(4));
    }
    expect(text).toContain('champion v2');
  });

  it('shows every gate with its mark and reason', () => {
    for (const { name, reason } of input.gates) {
      expect(page).toContain(name);
      expect(page).toContain(reason);
    }
    const failed = renderReport(reportInput([{ gate: 'atLeast', metric: 'auc', limit: 0.99 }]));
    expect(textOf(failed)).toContain('The gate failed');
    expect(failed).toContain('aria-label="failed"');
    expect(page).not.toContain('aria-label="failed"');
  });

  it('shows every slice, feature, trial, source and digest', () => {
    const text = textOf(page);
    for (const { value } of input.evaluation.slices) expect(text).toContain(value);
    for (const { feature } of input.curves.importance.slice(0, 15)) expect(text).toContain(feature);
    expect(text).toContain('8 trials');
    for (const { source, id } of input.snapshots) {
      expect(text).toContain(source);
      expect(text).toContain(id);
    }
    for (const digest of [input.specDigest, input.trainingSet.digest, input.model.onnx.sha256])
      expect(text).toContain(digest);
    expect(text).toContain('9,430 rows without an outcome');
  });

  it('gives every plot a title, labels on its axes and a text for those who cannot see it', () => {
    const drawings = page.match(/<svg.*?<\/svg>/gs) ?? [];
    // ROC, calibration, scores, weeks, two columns of slices, importance, split.
    expect(drawings).toHaveLength(8);
    for (const drawing of drawings) {
      expect(drawing).toMatch(/role="img" aria-labelledby="(\S+) (\S+)"/);
      expect(drawing).toMatch(/<title id="[^"]+">[^<]+<\/title>\s*<desc id="[^"]+">[^<]{20,}<\/desc>/);
    }
    const labelled = drawings.filter((drawing) => /class="label"[^>]*>[^<]+</.test(drawing));
    expect(labelled).toHaveLength(7);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('needs nothing from outside: no script, no link, no address', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import| on\w+=/i);
    expect(page).toContain("default-src 'none'");
  });

  it('is the same for the same input', () => {
    expect(renderReport(reportInput())).toBe(page);
  });

  it.each(['<script>alert(1)</script>', '" onload="x', "'><svg onload=x>", '</style><b>', '&amp;'])(
    'escapes %s wherever it stands',
    (name) => {
      const found = renderReport(hostile(name));
      expect(found).not.toContain('<script');
      expect(found.match(/<\/style>/g)).toHaveLength(1);
      expect(found).not.toMatch(/<[^>]*[\s"']onload=/i);
      expect(found).toContain(html`${name}`.text);
    },
  );

  it('cuts a long name in a plot and keeps the whole of it as a hint', () => {
    const long = 'mean_departure_delay_of_all_flights_of_the_same_carrier';
    const found = renderReport({ ...input, curves: { ...input.curves, importance: [{ feature: long, share: 1 }] } });
    expect(found).toContain(`<title>${long}</title>`);
    expect(found).toMatch(/>mean_departure_delay_\w*…</);
  });

  it('stands without champion, trials, gates, slices or sources', () => {
    const bare = renderReport({
      ...input,
      comparison: null,
      comparisonCurves: null,
      gates: [],
      trials: [],
      snapshots: [],
      evaluation: { ...input.evaluation, slices: [] },
    });
    const text = textOf(bare);
    expect(text).toContain('No other model is champion yet.');
    expect(text).toContain('No gates declared');
    expect(text).not.toMatch(/champion v\d|Search|NaN|undefined|Infinity/);
  });

  it('says why a champion could not be compared', () => {
    const reason = 'champion version 2 needs wind_gust, which the training set does not have';
    const comparison = {
      champion: { version: 2, sha256: 'a', asOf: input.asOf },
      period: null,
      rows: 0,
      candidate: null,
      championMetrics: null,
      reason,
    };
    expect(textOf(renderReport({ ...input, comparison, comparisonCurves: null }))).toContain(reason);
  });

  it('draws a test period of a few rows with one outcome without nonsense', () => {
    const scores = Float64Array.of(0.2, 0.2);
    const labels = Uint8Array.of(0, 0);
    const metrics = metricsOf(scores, labels);
    const curves = {
      ...input.curves,
      candidate: modelCurves(scores, labels),
      baseline: modelCurves(scores, labels),
      histogram: scoreHistogram(scores, labels),
      weeks: [{ week: '2013-10-07', metrics }],
      importance: [],
    };
    const slices = [{ column: 'origin', value: 'JFK', metrics }];
    const odd = renderReport({
      ...input,
      curves,
      evaluation: { ...input.evaluation, metrics: { validate: metrics, test: metrics }, slices },
    });
    expect(odd).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('publishing the page', () => {
  let folder: string;
  let context: StepContext;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'refit-report-'));
    const blobs = createBlobStore(createFolderStore(folder));
    context = { blobs, scratch: folder, signal: new AbortController().signal, progress: () => undefined, key: 'test' };
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('writes what was rendered under the name of pipeline, date and content, twice to the same place', async () => {
    const { curves, comparisonCurves, ...facts } = input;
    const stored = {
      ...facts,
      evaluation: { ...facts.evaluation, curves: await context.blobs.putJson(curves) },
      comparison: facts.comparison && { ...facts.comparison, curves: await context.blobs.putJson(comparisonCurves) },
    };
    const first = await publishReport.run(stored, context);
    const again = await publishReport.run(stored, context);
    expect(again).toEqual(first);
    expect(first.page).toBe(
      `reports/flight-delays/2014-01-01T00:00:00Z-${first.report.sha256.slice(0, 12)}/evaluation.html`,
    );
    const written = await context.blobs.objects.get(first.page);
    expect(new TextDecoder().decode(written?.body)).toBe(page);
  });
});

it.each([
  [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [0.62, 0.79, [0.65, 0.7, 0.75]],
  [0, 0.1, [0, 0.02, 0.04, 0.06, 0.08, 0.1]],
])('ticks of %d..%d are round numbers', (low, high, expected) => {
  expect(roundTicks(low, high, 6)).toEqual(expected);
});
