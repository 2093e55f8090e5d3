import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RefitError } from '../core/spec/errors.ts';

const require = createRequire(import.meta.url);

/** Runs a TypeScript file to its end in a process of its own. @throws RefitError REFIT_INTERNAL with its last words */
export async function inProcessOfItsOwn(script: URL, args: string[]): Promise<void> {
  const tsx = pathToFileURL(require.resolve('tsx')).href;
  const child = spawn(process.execPath, ['--import', tsx, fileURLToPath(script), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    words = (words + more).slice(-4_000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0) throw new RefitError('REFIT_INTERNAL', `${fileURLToPath(script)} failed: ${words.trim()}`);
}
