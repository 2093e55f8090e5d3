/** Gates: the declared conditions a candidate must meet. Pure rules over figures; what to do about a failed one is not here. */
import type { Comparison, Evaluation, GateResult, Metrics, SliceMetrics } from '../spec/evaluation.ts';
import type { GateSpec } from '../spec/pipeline.ts';

type MetricName = 'auc' | 'logLoss' | 'brier';
type Of<Kind extends GateSpec['gate']> = Extract<GateSpec, { gate: Kind }>;

/** What gates look at; `comparison` is null where no other model is champion yet. */
export interface Evidence {
  evaluation: Evaluation;
  comparison: Comparison | null;
}

/** 1 where more is better, -1 where less is. */
const SIGN = { auc: 1, logLoss: -1, brier: -1 } as const satisfies Record<MetricName, 1 | -1>;

/** Judges every gate, in the order declared: one result each, whether or not an earlier one failed. */
export function judge(gates: readonly GateSpec[], evidence: Evidence): GateResult[] {
  return gates.map((gate) => judgeOne(gate, evidence));
}

function judgeOne(gate: GateSpec, evidence: Evidence): GateResult {
  switch (gate.gate) {
    case 'atLeast':
    case 'atMost':
      return bound(gate, evidence);
    case 'betterThanBaseline':
      return baseline(gate, evidence);
    case 'notWorseThanChampion':
      return champion(gate, evidence);
    case 'slices':
      return slices(gate, evidence);
    case 'parity':
      return parity(gate, evidence);
  }
}

function bound({ gate, metric, limit }: Of<'atLeast'> | Of<'atMost'>, { evaluation }: Evidence): GateResult {
  const sign = gate === 'atLeast' ? '≥' : '≤';
  const name = `${metric} ${sign} ${short(limit)}`;
  const { [metric]: value, rows } = evaluation.metrics.test;
  if (value === null) return cannot(name, oneClass(metric, `the ${count(rows)} test rows`));
  const passed = gate === 'atLeast' ? value >= limit : value <= limit;
  return { name, passed, value, limit, reason: `${compare(value, sign, limit, passed)} on ${count(rows)} test rows` };
}

function baseline({ metric, margin }: Of<'betterThanBaseline'>, { evaluation }: Evidence): GateResult {
  const name = `${metric} better than baseline${margin === 0 ? '' : ` by ${short(margin)}`}`;
  const { [metric]: value, rows } = evaluation.metrics.test;
  const base = evaluation.baseline.test[metric];
  if (value === null || base === null) return cannot(name, oneClass(metric, `the ${count(rows)} test rows`));
  const limit = base + SIGN[metric] * margin;
  // Without a margin, equal is not better.
  const passed = reaches(metric, value, limit) && !(margin === 0 && value === base);
  const plus = margin === 0 ? '' : ` with the margin of ${short(margin)}`;
  const relation = `${figure(value)} against ${figure(base)} of the logistic baseline${plus}`;
  return { name, passed, value, limit, reason: `${relation} on ${count(rows)} test rows` };
}

function champion(gate: Of<'notWorseThanChampion'>, { evaluation, comparison }: Evidence): GateResult {
  const { metric, tolerance, minRows } = gate;
  const name = `${metric} not worse than champion`;
  if (comparison === null) {
    const value = evaluation.metrics.test[metric];
    return value === null
      ? cannot(name, oneClass(metric, 'the test rows'))
      : { name, passed: true, value, limit: null, reason: 'nothing to be worse than: no other model is champion yet' };
  }
  const { rows, candidate, championMetrics } = comparison;
  if (rows < minRows || candidate === null || championMetrics === null) {
    const few = `${count(rows)} rows are later than anything either model saw; ${count(minRows)} are needed`;
    return cannot(name, comparison.reason ?? few);
  }
  const value = candidate[metric];
  const theirs = championMetrics[metric];
  if (value === null || theirs === null) return cannot(name, oneClass(metric, `the ${count(rows)} compared rows`));
  const limit = theirs - SIGN[metric] * tolerance;
  const passed = reaches(metric, value, limit);
  const allowed = tolerance === 0 ? '' : ` (tolerance ${short(tolerance)})`;
  const relation = `${figure(value)} against ${figure(theirs)} of version ${comparison.champion.version}${allowed}`;
  return { name, passed, value, limit, reason: `${relation} on ${count(rows)} rows that neither saw` };
}

/** Judged by the worst slice that has enough rows; a column without any such slice cannot be judged. */
function slices(gate: Of<'slices'>, { evaluation }: Evidence): GateResult {
  const { metric, columns, tolerance, minRows } = gate;
  const name = `${metric} of every slice by ${columns.join(', ')}`;
  const overall = evaluation.metrics.test[metric];
  if (overall === null) return cannot(name, oneClass(metric, 'the test rows'));
  const judged = evaluation.slices.filter(({ column, metrics }) => columns.includes(column) && metrics.rows >= minRows);
  const unjudged = columns.find((wanted) => !judged.some(({ column }) => column === wanted));
  if (unjudged !== undefined) return cannot(name, `no slice by ${unjudged} has ${count(minRows)} test rows`);
  const blind = judged.find(({ metrics }) => metrics[metric] === null);
  if (blind) return cannot(name, oneClass(metric, `the ${count(blind.metrics.rows)} rows of ${nameOf(blind)}`));
  const limit = overall - SIGN[metric] * tolerance;
  const qualityOf = ({ metrics }: SliceMetrics) => metrics[metric] as number;
  const worst = judged.reduce((a, b) => (reaches(metric, qualityOf(b), qualityOf(a)) ? a : b));
  const value = qualityOf(worst);
  const broken = judged.filter((slice) => !reaches(metric, qualityOf(slice), limit));
  const tally =
    broken.length === 0 ? `all ${judged.length} slices hold` : `${broken.length} of ${judged.length} slices fail`;
  const where = `worst is ${nameOf(worst)} with ${figure(value)} on ${count(worst.metrics.rows)} rows`;
  return { name, passed: broken.length === 0, value, limit, reason: `${tally}; ${where}, limit ${figure(limit)}` };
}

/** Both ways must hold: ONNX as the trainer's own prediction, and the online path as the offline join. */
function parity({ limit }: Of<'parity'>, { evaluation }: Evidence): GateResult {
  const name = `parity ≤ ${short(limit)}`;
  const { native, online, rowsNative, rowsOnline } = evaluation.parity;
  const ownPart = `ONNX differs from the trainer by ${small(native)} on ${count(rowsNative)} rows`;
  if (rowsNative === 0) return cannot(name, 'no rows to compare ONNX with the trainer on');
  if (rowsOnline === 0) return cannot(name, `no upcoming entities to compare the online path on; ${ownPart}`);
  const value = Math.max(native, online);
  const reason = `${ownPart}, online from offline by ${small(online)} on ${count(rowsOnline)} entities`;
  return { name, passed: value <= limit, value, limit, reason };
}

/** Whether `value` is as good as `limit`, in the metric's own direction. */
function reaches(metric: MetricName, value: number, limit: number): boolean {
  return SIGN[metric] === 1 ? value >= limit : value <= limit;
}

function cannot(name: string, reason: string): GateResult {
  return { name, passed: false, value: null, limit: null, reason: `cannot be computed: ${reason}` };
}

function oneClass(metric: keyof Metrics, where: string): string {
  return `${metric} needs both outcomes, and ${where} have one`;
}

function nameOf({ column, value }: SliceMetrics): string {
  return `${column} = ${value}`;
}

function compare(value: number, sign: '≥' | '≤', limit: number, passed: boolean): string {
  const relation = passed ? sign : sign === '≥' ? '<' : '>';
  // More digits where four would make a failed comparison read as an equal one.
  const digits = value.toFixed(4) === limit.toFixed(4) && value !== limit ? 8 : 4;
  return `${value.toFixed(digits)} ${relation} ${short(limit)}`;
}

function figure(value: number): string {
  return value.toFixed(4);
}

/** A declared limit: at least two decimals, no more than it needs, powers of ten for the very small. */
function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential();
  const text = String(value);
  return /\.\d\d/.test(text) ? text : value.toFixed(2);
}

function small(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
