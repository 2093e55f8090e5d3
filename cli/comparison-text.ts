import type { Difference, RunComparison } from '../core/spec/cli.ts';
import type { GateResult } from '../core/spec/evaluation.ts';
import type { StageResult } from '../core/spec/stages.ts';
import { bold, dim, green, red, table } from './terminal.ts';

/** Two runs side by side, for people. */
export function comparisonText({ a, b, ...found }: RunComparison): string {
  const row = (name: string, of: (run: RunComparison['a']) => string) => [name, of(a), of(b)];
  const model = ({ model: { name, version, sha256 } }: RunComparison['a']) =>
    `${name} v${version} (${sha256.slice(0, 12)})`;
  const head = table(
    ['', 'A', 'B'],
    [
      row('run', ({ workflowId }) => workflowId),
      row('run id', ({ runId }) => runId),
      row('as of', ({ asOf }) => asOf),
      row('took', ({ seconds }) => `${seconds.toFixed(1)} s`),
      row('verdict', ({ verdict }) => bold(verdict)),
      row('model', model),
      row('spec', ({ spec }) => spec?.slice(0, 12) ?? 'unknown'),
    ],
  );
  return [
    head,
    section('Arguments', differing(found.input)),
    section(
      'Declaration',
      a.spec === null || b.spec === null ? dim('not in the store any more') : differing(found.spec),
    ),
    section('Metrics', metricsTable(found.metrics)),
    section(
      'Gates',
      table(
        ['gate', 'A', 'B'],
        found.gates.map((gate) => [gate.name, gateText(gate.a), gateText(gate.b)]),
      ),
    ),
    section(
      'Stages',
      table(
        ['stage', 'A', 'B'],
        found.stages.map((stage) => [stage.name, stageText(stage.a), stageText(stage.b)]),
      ),
    ),
    section('Parameters of the models', differing(found.params)),
  ].join('\n');
}

const section = (title: string, body: string) => `\n${bold(title)}\n${body}`;

function differing(list: Difference[]): string {
  if (list.length === 0) return dim('the same');
  const text = (value: unknown) => (value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));
  return table(
    ['', 'A', 'B'],
    list.map(({ path, a, b }) => [path, text(a), text(b)]),
  );
}

function metricsTable(metrics: RunComparison['metrics']): string {
  const figure = (value: number | null) => (value === null ? 'n/a' : value.toFixed(4));
  const signed = (value: number | null) => (value === null ? '' : `${value >= 0 ? '+' : ''}${value.toFixed(4)}`);
  const rows = metrics.map(({ split, metric, a, b, difference }) => [
    `${metric} (${split})`,
    figure(a),
    figure(b),
    signed(difference),
  ]);
  return table(['metric', 'A', 'B', 'B − A'], rows, [1, 2, 3]);
}

function gateText(gate: GateResult | null): string {
  if (!gate) return dim('–');
  const value = gate.value === null ? '' : ` ${Number(gate.value.toPrecision(4))}`;
  return `${gate.passed ? green('✓') : red('✗')}${value}`;
}

function stageText(stage: StageResult | null): string {
  return stage ? `${stage.cached ? 'cached' : 'computed'} ${stage.seconds.toFixed(1)} s` : dim('–');
}
