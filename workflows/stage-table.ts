import type { Progress } from '../core/spec/run.ts';
import { STAGES, type StageResult } from '../core/spec/stages.ts';

/** The run as a Markdown table, for the Temporal UI. */
export function stageTable(progress: Progress): string {
  const head = [
    `**${progress.pipeline}** as of ${progress.asOf ?? 'the end of the data'}${progress.verdict ? `: **${progress.verdict}**` : ''}`,
    '',
    '| stage | | rows | seconds | details |',
    '|---|---|---:|---:|---|',
  ];
  const rows = STAGES.map((name) => {
    const stage = progress.stages.find((done) => done.name === name);
    if (stage) return finished(stage);
    const state = progress.waiting ? 'waiting' : 'running';
    return progress.stage === name ? `| **${name}** | ${state} | | | ${running(progress)} |` : `| ${name} | | | | |`;
  });
  return [...head, ...rows].join('\n');
}

function finished({ name, cached, rows, seconds, details }: StageResult): string {
  const notes = Object.entries(details ?? {}).map(([key, value]) => `${key} ${plain(value)}`);
  return `| ${name} | ${cached ? 'cached' : 'done'} | ${rows?.toLocaleString('en-US') ?? ''} | ${seconds.toFixed(1)} | ${notes.join('; ')} |`;
}

function plain(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(4);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, inner]) => `${key} ${plain(inner)}`)
      .join(', ');
  }
  return String(value).replaceAll('|', '\\|');
}

function running({ stage, training, trials, partitions, waiting }: Progress): string {
  if (waiting) return `approval of version ${waiting.version}`;
  if (stage === 'extract' && partitions) return `${partitions.done} of ${partitions.total} partitions`;
  if (stage !== 'train') return '';
  const parts = [];
  if (trials) parts.push(`${trials.done} of ${trials.total} trials`);
  if (training) parts.push(`round ${training.round} of ${training.rounds}`);
  return parts.join(', ');
}
