/** What `refit init` tells: what was found, what was left out and why, and what to do next. */
import type { Draft } from '../../core/pipeline/draft/draft-pipeline.ts';
import type { InitResult } from '../../core/spec/cli.ts';
import { bold, count, dim, table, yellow } from '../terminal.ts';

/** `written`: the files, as the user would name them. */
export function asText(draft: Draft, written: string[]): string {
  const { request, rows, label, time, key, features, leftOut, notes, split } = draft;
  const { train, validate, test } = split;
  const share = ({ rows: n, positives }: { rows: number; positives: number }) =>
    `${count(n)} (${count(positives)} positive)`;
  const found = [
    ['table', `${request.path}, ${count(rows)} rows`],
    ['predicts', `${label.means} ${dim(`(${label.because})`)}`],
    ['asked at', `${time.column} ${dim(`(${time.how})`)}`],
    ['key', `${key.name} ${dim(`(${key.because})`)}`],
    ['learns from', features.map(({ name }) => name).join(', ')],
    ['periods', `train ${share(train)}, validate ${share(validate)}, test ${share(test)}`],
  ];
  const out = leftOut.map(({ column, why }) => [column, dim(why)]);
  return [
    '',
    ...found.map(([what = '', how]) => `${bold(what.padEnd(12))}${how}`),
    ...(out.length > 0 ? ['', bold('Left out'), table(['column', 'because'], out)] : []),
    ...(notes.length > 0 ? ['', ...notes.map((note) => yellow(`! ${note}`))] : []),
    '',
    `Written: ${written.join(', ')}`,
    '',
    bold('Next'),
    ...next(draft).map((command) => `  ${command}`),
    '',
  ].join('\n');
}

export function asJson(draft: Draft, files: string[]): InitResult {
  const { request, source, format, rows, label, time, key, features, leftOut, notes, split } = draft;
  const { means, because, sql, knownAt } = label;
  return {
    pipeline: request.name,
    files,
    source: { name: source, format, path: request.path, rows },
    time: { column: time.column, sql: draft.at, how: time.how },
    label: { sql, means, because, knownAt },
    key: { name: key.name, column: key.column ?? null, because: key.because },
    features: features.map(({ name, column, kind, sql }) => ({ name, column, kind, sql })),
    leftOut: leftOut.map(({ column, why }) => ({ column, why })),
    notes,
    split: split.split,
    rows: { train: split.train, validate: split.validate, test: split.test },
    sample: { fields: draft.sample, key: { [key.name]: draft.sampleKey } },
    next: next(draft),
  };
}

/** The commands that come next; the last asks about the newest row of the table. */
function next({ request: { name }, sample }: Draft): string[] {
  const body = JSON.stringify({ instances: [sample] }).replaceAll("'", "'\\''");
  return [
    `npx --no refit run ${name}`,
    'npx --no refit dev',
    `curl -s localhost:8080/v1/models/${name}:predict -H 'content-type: application/json' -d '${body}'`,
  ];
}
