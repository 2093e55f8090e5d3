import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { withScratch } from '../../cli/features/with-scratch.ts';
import { reportError } from '../../cli/report-error.ts';
import { isAbandoned } from '../../core/store/process-identity.ts';

afterEach(() => vi.unstubAllEnvs());

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a temporary folder is gone when %s ends the command', async (signal, status) => {
  const module = fileURLToPath(new URL('../../cli/temporary-folder.ts', import.meta.url));
  const script = `import { writeFileSync } from 'node:fs';
    import { withTemporaryFolder } from ${JSON.stringify(module)};
    await withTemporaryFolder('refit-scratch-test-', async (folder) => {
      writeFileSync(folder + '/rows', 'private');
      console.log(folder);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
  const [told] = (await once(child.stdout, 'data')) as [Buffer];
  const folder = told.toString().trim();
  expect(existsSync(path.join(folder, 'rows'))).toBe(true);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([status, null]);
  expect(existsSync(folder)).toBe(false);
});

test('the scratch of a command bears its name, so that what a killed one leaves is swept away with that of killed workers', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'refit-scratch-test-'));
  vi.stubEnv('REFIT_ROOT', root);
  const scratch = await withScratch(async ({ context }) => {
    expect(existsSync(context.scratch)).toBe(true);
    return context.scratch;
  });
  expect(path.dirname(scratch)).toBe(path.join(root, '.refit/scratch'));
  const ofTheDead = path.basename(scratch).replace(/\.\d+\.([0-9a-f]{16})$/, '.1.$1');
  expect(isAbandoned(ofTheDead, 0)).toBe(true);
  expect(existsSync(scratch)).toBe(false);
  await rm(root, { recursive: true, force: true });
});

test.each([
  ['EROFS', 'REFIT_STORE_UNWRITABLE'],
  ['EACCES', 'REFIT_STORE_UNWRITABLE'],
  ['ENOSPC', 'REFIT_STORE_FULL'],
])('%s in a folder of the project is told as %s, with the place', (system, code) => {
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const error = Object.assign(new Error(`${system}: symlink`), {
    code: system,
    path: 'x',
    dest: '/p/.refit/stack.lock',
  });
  try {
    expect(reportError(error)).toBe(1);
    expect(told.mock.calls.join()).toMatch(new RegExp(`${code}: .*/p/.refit/stack.lock`));
  } finally {
    told.mockRestore();
  }
});
