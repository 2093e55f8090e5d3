import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auc,
  aucInterval,
  brier,
  calibrationTable,
  expectedCalibrationError,
  metricsOf,
  rocCurve,
  wilson,
} from '../../core/evaluation/metrics.ts';
import { logLoss } from '../../core/training/log-loss.ts';

const scores = (...values: number[]) => Float64Array.from(values);
const labels = (...values: number[]) => Uint8Array.from(values);

/** Few distinct scores, so that ties are common. */
const sample = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.boolean()), { minLength: 1, maxLength: 60 })
  .map((rows) => ({
    scores: Float64Array.from(rows, ([score]) => score / 12),
    labels: Uint8Array.from(rows, ([, label]) => Number(label)),
  }));

/** All pairs, as the definition says. */
function bruteForceAuc(s: Float64Array, y: Uint8Array): number | null {
  let pairs = 0;
  let right = 0;
  for (const [i, a] of s.entries()) {
    for (const [j, b] of s.entries()) {
      if (!y[i] || y[j]) continue;
      pairs++;
      right += a > b ? 1 : a === b ? 0.5 : 0;
    }
  }
  return pairs === 0 ? null : right / pairs;
}

describe('auc', () => {
  it("gives scikit-learn's documented example", () => {
    expect(auc(scores(0.1, 0.4, 0.35, 0.8), labels(0, 0, 1, 1))).toBe(0.75);
  });

  it('is 1, 0 and a half for perfect, reversed and constant scores', () => {
    expect(auc(scores(0.1, 0.2, 0.8, 0.9), labels(0, 0, 1, 1))).toBe(1);
    expect(auc(scores(0.9, 0.8, 0.2, 0.1), labels(0, 0, 1, 1))).toBe(0);
    expect(auc(scores(0.3, 0.3, 0.3), labels(0, 1, 1))).toBe(0.5);
  });

  it('is null where one class is absent, and for no rows', () => {
    expect(auc(scores(0.1, 0.9), labels(1, 1))).toBeNull();
    expect(auc(scores(0.1, 0.9), labels(0, 0))).toBeNull();
    expect(auc(scores(), labels())).toBeNull();
  });

  it('equals the count over all pairs, ties included', () => {
    fc.assert(
      fc.property(sample, (rows) => {
        const expected = bruteForceAuc(rows.scores, rows.labels);
        const found = auc(rows.scores, rows.labels);
        if (expected === null) expect(found).toBeNull();
        else expect(found).toBeCloseTo(expected, 12);
      }),
    );
  });

  it('depends on the order of scores only', () => {
    fc.assert(
      fc.property(sample, (rows) => {
        expect(
          auc(
            rows.scores.map((x) => Math.exp(3 * x)),
            rows.labels,
          ),
        ).toEqual(auc(rows.scores, rows.labels));
      }),
    );
  });

  it("has the interval of Hanley and McNeil's example", () => {
    const interval = aucInterval(0.893, 51, 58);
    expect(interval?.low).toBeCloseTo(0.829, 3);
    expect(interval?.high).toBeCloseTo(0.957, 3);
    expect(aucInterval(1, 5, 5)).toEqual({ low: 1, high: 1 });
    expect(aucInterval(0.5, 0, 5)).toBeNull();
  });

  it('leaves its inputs as they were', () => {
    const given = scores(0.9, 0.1, 0.5);
    auc(given, labels(0, 1, 1));
    expect([...given]).toEqual([0.9, 0.1, 0.5]);
  });
});

describe('log loss and Brier score', () => {
  it('give the worked examples', () => {
    expect(logLoss(scores(0.9, 0.1, 0.8, 0.35), labels(1, 0, 1, 1))).toBeCloseTo(0.370922, 6);
    // scikit-learn's examples for log_loss and brier_score_loss.
    expect(logLoss(scores(0.9, 0.1, 0.2, 0.65), labels(1, 0, 0, 1))).toBeCloseTo(0.21616, 5);
    expect(brier(scores(0.1, 0.9, 0.8, 0.3), labels(0, 1, 1, 0))).toBeCloseTo(0.0375, 12);
    expect(brier(scores(0.9, 0.1, 0.8, 0.3), labels(1, 0, 1, 1))).toBeCloseTo(0.1375, 12);
  });

  it('cost 34.5 for a row that is certain and wrong, and nothing for one that is certain and right', () => {
    expect(logLoss(scores(0), labels(1))).toBeCloseTo(34.539, 3);
    expect(logLoss(scores(1), labels(0))).toBeCloseTo(34.539, 2);
    expect(logLoss(scores(1, 0), labels(1, 0))).toBeLessThan(1e-14);
  });

  it('are least, among constant scores, at the share of positives', () => {
    const y = labels(1, 0, 0, 0, 1, 0, 0, 0, 0, 0);
    const at = (p: number) => new Float64Array(10).fill(p);
    for (const other of [0.05, 0.15, 0.25, 0.5]) {
      expect(logLoss(at(0.2), y)).toBeLessThan(logLoss(at(other), y));
      expect(brier(at(0.2), y)).toBeLessThan(brier(at(other), y));
    }
  });

  it('count rows and positives beside them', () => {
    expect(metricsOf(scores(0.2, 0.9, 0.4), labels(0, 1, 1))).toMatchObject({ rows: 3, positives: 2, auc: 1 });
  });
});

describe('ROC curve', () => {
  it("gives scikit-learn's documented example", () => {
    const points = rocCurve(scores(0.1, 0.4, 0.35, 0.8), labels(0, 0, 1, 1));
    expect(points.map(({ x, y }) => [x, y])).toEqual([
      [0, 0],
      [0, 0.5],
      [0.5, 0.5],
      [0.5, 1],
      [1, 1],
    ]);
  });

  it('has the AUC as the area below it', () => {
    fc.assert(
      fc.property(sample, (rows) => {
        const points = rocCurve(rows.scores, rows.labels);
        const expected = auc(rows.scores, rows.labels);
        if (expected === null) expect(points).toEqual([]);
        else expect(area(points)).toBeCloseTo(expected, 12);
      }),
    );
  });

  it('keeps to 200 points from corner to corner on many rows, close to the full curve', () => {
    const n = 50_000;
    const s = Float64Array.from({ length: n }, (_, i) => ((i * 7919) % n) / n);
    const y = Uint8Array.from(s, (score, i) => Number(score > ((i * 104_729) % n) / n));
    const points = rocCurve(s, y);
    expect(points.length).toBeLessThanOrEqual(200);
    expect(points[0]).toEqual({ x: 0, y: 0 });
    expect(points.at(-1)).toEqual({ x: 1, y: 1 });
    expect(area(points)).toBeCloseTo(auc(s, y) as number, 3);
    for (const [i, point] of points.entries()) {
      const before = points[i - 1];
      if (before) expect(point.x >= before.x && point.y >= before.y).toBe(true);
    }
  });
});

function area(points: { x: number; y: number }[]): number {
  return points.reduce((sum, b, i) => {
    const a = points[i - 1];
    return a ? sum + ((b.x - a.x) * (a.y + b.y)) / 2 : 0;
  }, 0);
}

describe('calibration', () => {
  it('has the Wilson interval of the literature', () => {
    const { low, high } = wilson(10, 100);
    expect(low).toBeCloseTo(0.0552, 4);
    expect(high).toBeCloseTo(0.1744, 4);
    expect(wilson(0, 10).low).toBe(0);
    expect(wilson(0, 10).high).toBeCloseTo(0.2775, 4);
  });

  it('gives the worked example', () => {
    const table = calibrationTable(scores(0.1, 0.2, 0.7, 0.8), labels(0, 0, 1, 1), 2);
    expect(table).toHaveLength(2);
    expect(table[0]).toMatchObject({ observed: 0, rows: 2 });
    expect(table[0]?.predicted).toBeCloseTo(0.15, 12);
    expect(table[1]?.predicted).toBeCloseTo(0.75, 12);
    expect(expectedCalibrationError(table)).toBeCloseTo(0.2, 12);
  });

  it('puts every row in one bin, of about equal size where scores differ', () => {
    const n = 1003;
    const s = Float64Array.from({ length: n }, (_, i) => i / n);
    const table = calibrationTable(s, new Uint8Array(n));
    expect(table.map(({ rows }) => rows)).toEqual([101, 100, 100, 101, 100, 100, 101, 100, 100, 100]);
  });

  it('loses no row and no positive, whatever the ties', () => {
    fc.assert(
      fc.property(sample, (rows) => {
        const table = calibrationTable(rows.scores, rows.labels);
        const total = (of: (bin: (typeof table)[number]) => number) => table.reduce((sum, bin) => sum + of(bin), 0);
        expect(total(({ rows: n }) => n)).toBe(rows.labels.length);
        expect(total(({ rows: n, observed }) => n * observed)).toBeCloseTo(
          rows.labels.reduce((a, b) => a + b, 0),
          9,
        );
        for (const { low, observed, high } of table)
          expect(low <= observed + 1e-12 && observed - 1e-12 <= high).toBe(true);
      }),
    );
  });

  it('keeps a crowd at the highest score in a bin of its own', () => {
    const table = calibrationTable(scores(0.1, 0.2, 1, 1, 1, 1, 1, 1), labels(0, 0, 1, 1, 1, 1, 1, 0), 4);
    expect(table.at(-1)).toMatchObject({ predicted: 1, rows: 6 });
  });
});
