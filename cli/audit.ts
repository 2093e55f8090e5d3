import { Command } from 'commander';
import { verifyAudit } from '../core/registry/audit.ts';
import { findModel } from '../core/registry/describe.ts';
import type { AuditReport } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import { dim, green, red, table, yellow } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function auditCommand(exit: (status: number) => void): Command {
  return new Command('audit')
    .description('Show every decision about a model, and check that the log is whole (hash chain).')
    .argument('<model>')
    .option('--json', 'print entries and problems as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { json }: { json?: boolean }) => exit(await audit(name, json)));
}

const EXAMPLES = `
Examples:
  refit audit flight-delays
  refit audit flight-delays --json | jq -r '.entries[] | [.at, .action, .version, .by] | @tsv'

Exit status: 0 the log is whole, 1 an entry was altered, removed or moved, 2 there is no such model.`;

async function audit(name: string, json: boolean | undefined): Promise<number> {
  const report = await withStore(async ({ objects }): Promise<AuditReport> => {
    const { model, version } = await findModel(objects, name);
    if (version !== undefined) {
      throw new RefitError('REFIT_USAGE', `The log is of all versions: refit audit ${model}.`, { model, version });
    }
    const { entries, problems } = await verifyAudit(objects, model);
    const shown = entries.map(({ sequence, at, action, version: of, by, reason, ...rest }) => {
      const { workflowId, runId, previousHash, hash } = rest;
      return { sequence, at, action, version: of, by, reason, workflowId, runId, previousHash, hash };
    });
    return { model, intact: problems.length === 0, problems, entries: shown };
  });
  print(report, json, () => auditText(report));
  return report.intact ? 0 : 1;
}

function auditText({ model, problems, entries, intact }: AuditReport): string {
  const paint = (action: string) => (action === 'promote' ? green(action) : yellow(action));
  const rows = entries.map(({ sequence, at, action, version, by, reason, hash }) => [
    String(sequence),
    at.slice(0, 19).replace('T', ' '),
    paint(action),
    `v${version}`,
    by,
    dim(hash.slice(0, 12)),
    reason,
  ]);
  const list =
    rows.length > 0
      ? table(['', 'at (UTC)', '', 'version', 'by', 'hash', 'reason'], rows, [0])
      : dim('No decision yet.');
  const verdict = intact
    ? green(`The log of ${model} is whole: ${entries.length} entries, each follows from the one before.`)
    : [
        red(`The log of ${model} is broken:`),
        ...problems.map(({ sequence, problem }) => red(`  entry ${sequence}: ${problem}`)),
      ].join('\n');
  return `${list}\n\n${verdict}`;
}
