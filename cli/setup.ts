import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { projectRoot } from './project.ts';

const SETUP = fileURLToPath(new URL('../infra/setup.mjs', import.meta.url));

interface Options {
  check?: boolean;
  only?: string;
  json?: boolean;
}

export function setupCommand(exit: (status: number) => void): Command {
  return new Command('setup')
    .description('Look for what Refit needs on this machine and make what is missing, once.')
    .option('--check', 'only look; exit status 1 when something is missing')
    .option('--only <parts>', 'only these parts, separated by commas')
    .option('--json', 'print one JSON value on standard output, progress on standard error')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await setup(options)));
}

const EXAMPLES = `
Examples:
  refit setup                     everything; the first time on a machine it may build the Temporal server, 2 to 6 minutes
  refit setup --check             what is missing
  refit setup --only lightgbm     one part

What is made is kept for all projects of this user, in REFIT_CACHE or ~/.cache/refit; in a clone of Refit, under .refit/.`;

/** The set-up itself is plain Node without dependencies: in a clone it runs before anything is installed. */
async function setup({ check, only, json }: Options): Promise<number> {
  const args = [
    ...(check ? ['--check'] : []),
    ...(only === undefined ? [] : ['--only', only]),
    ...(json ? ['--json'] : []),
  ];
  const env = { ...process.env, REFIT_ROOT: projectRoot() };
  const child = spawn(process.execPath, [SETUP, ...args], { env, stdio: 'inherit' });
  // Ctrl-C reaches it as well, and it ends in its own way.
  process.on('SIGINT', () => undefined);
  // These reach us alone; it ends what it builds.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
