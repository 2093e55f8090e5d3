import { Command } from 'commander';
import { findModelVersion } from '../core/registry/describe.ts';
import { verifyVersion } from '../core/registry/verify-version.ts';
import type { VersionCheck } from '../core/spec/cli.ts';
import { green, red, table } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function verifyCommand(exit: (status: number) => void): Command {
  return new Command('verify')
    .description('Check that a version is what was registered: its files, its data, the log of decisions, the routing.')
    .argument('<model@version>')
    .option('--json', 'print the checks as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { json }: { json?: boolean }) => exit(await verify(name, json)));
}

const EXAMPLES = `
Examples:
  refit verify flight-delays@2
  refit verify flight-delays@2 --json | jq '.checks[] | select(.passed | not)'

Every byte is read and hashed: the model, what it was evaluated with, and the data it was made of.

Exit status: 0 intact, 1 something is missing or altered, 2 there is no such version.`;

async function verify(name: string, json: boolean | undefined): Promise<number> {
  const checked = await withStore(async ({ objects, blobs }) => {
    const { model, version } = await findModelVersion(objects, name);
    return verifyVersion(blobs, model, version);
  });
  print(checked, json, () => text(checked));
  return checked.intact ? 0 : 1;
}

function text({ model, version, intact, checks }: VersionCheck): string {
  const rows = checks.map(({ name, passed, found }) => [passed ? green('✓') : red('✗'), name, found]);
  const verdict = intact
    ? green(`${model}@${version} is what was registered.`)
    : red(`${model}@${version} is not what was registered.`);
  return `${table(['', 'part', 'found'], rows)}\n\n${verdict}`;
}
