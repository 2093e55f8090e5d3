#!/usr/bin/env node
// The command `refit`: checks what TypeScript cannot check for itself, then hands over to main.ts.
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { place, shareWithProject } from '../infra/parts/place.mjs';
import { program } from '../infra/parts/programs.mjs';
import { endWithNpm } from './npm-parent.mjs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 20)) {
  stop(
    'REFIT_SETUP_MISSING',
    `Refit needs Node 20.20 or newer; this is ${process.versions.node}.`,
    'Install a newer Node.',
  );
}
if (!existsSync(fileURLToPath(new URL('../node_modules/tsx', import.meta.url))) && !resolves('tsx')) {
  stop('REFIT_SETUP_MISSING', 'The npm packages of Refit are not installed.', `Run \`${place.command}\`.`);
}

endWithNpm();
// What another project of this user has set up serves this one, too.
if (place.installed) await shareWithProject(place).catch(() => undefined);
const args = process.argv.slice(2);
if (args.includes('--debug')) process.setSourceMapsEnabled(true);
const { main } = await load(args[0] === 'dev' ? ['dev', './dev-process.ts'] : ['cli', './main.ts']);
const status = await main(args);
// At once: a retry of a call that nobody waits for any more must not keep the command or crash it.
process.stdout.write('', () => process.stderr.write('', () => process.exit(status)));

/** The bundled program; where there can be none (a read-only folder, a mistake in the source), the source itself. */
async function load([name, source]) {
  const bundled = await program(name).catch(() => undefined);
  if (bundled) return import(pathToFileURL(bundled).href);
  const { register } = await import('tsx/esm/api');
  register();
  return import(source);
}

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
