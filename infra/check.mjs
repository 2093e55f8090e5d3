// The static checks, all of them even when one fails: one line each, and the whole output of what failed.
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { elapsed, run, stopAll } from './parts/processes.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const checks = [
  { name: 'types', command: 'tsc', args: ['--noEmit', '--pretty', 'false'] },
  { name: 'format', command: 'biome', args: ['format', '.'] },
  { name: 'lint', command: 'biome', args: ['check', '--formatter-enabled=false', '--error-on-warnings', '.'] },
  { name: 'lint with types', command: 'oxlint', args: ['--deny-warnings'] },
  {
    name: 'layers',
    command: 'depcruise',
    args: ['--config', '.dependency-cruiser.cjs', '--output-type', 'err-long', '.'],
  },
  { name: 'unused code', command: 'knip', args: ['--no-progress'] },
];

const env = { ...process.env, PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter) };
let failed = 0;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    stopAll();
    process.exit(130);
  });
}
for (const { name, command, args } of checks) {
  const started = Date.now();
  const result = await run(command, args, { cwd: root, env });
  console.log(`${result.ok ? '✓' : '✗'} ${name} (${elapsed(Date.now() - started)})`);
  if (result.ok) continue;
  failed += 1;
  console.log(result.timedOut ? `${command} did not end within 10 minutes.` : result.output);
}
if (failed > 0)
  console.log(`${failed} of ${checks.length} checks failed; \`npm run fix\` mends format and simple lint.`);
process.exitCode = failed > 0 ? 1 : 0;
