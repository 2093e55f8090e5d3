#!/usr/bin/env node
// The command `refit`: checks what TypeScript cannot check for itself, then hands over to main.ts.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 20)) {
  stop(
    'REFIT_SETUP_MISSING',
    `Refit needs Node 20.20 or newer; this is ${process.versions.node}.`,
    'Install a newer Node.',
  );
}
if (!existsSync(fileURLToPath(new URL('../node_modules/tsx', import.meta.url))) && !resolves('tsx')) {
  stop('REFIT_SETUP_MISSING', 'The npm packages of Refit are not installed.', 'Run `node infra/setup.mjs`.');
}

const { register } = await import('tsx/esm/api');
register();
const { main } = await import('./main.ts');
process.exitCode = await main(process.argv.slice(2));

/** @param {string} name */
function resolves(name) {
  try {
    return Boolean(import.meta.resolve(name));
  } catch {
    return false;
  }
}

/** @param {string} code @param {string} message @param {string} cure */
function stop(code, message, cure) {
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code, message, cure, details: {} } }));
  else console.error(`${code}: ${message}\n  ${cure}`);
  process.exit(1);
}
