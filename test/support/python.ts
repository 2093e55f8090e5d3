import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { REPOSITORY } from './project.ts';
import { execute } from './services.ts';

/** The folder with a Python package and what it needs, fetched from PyPI once: `pythonPackages('tritonclient[http]==2.73.0')`. */
export async function pythonPackages(requirement: string): Promise<string> {
  const version = await python(['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], '', requirement);
  const name = requirement.replace(/\[.*\]/, '').replace('==', '-');
  const folder = path.join(REPOSITORY, '.refit/cache/python', `${name}-${version.trim()}`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.${process.pid}`;
  await mkdir(path.dirname(folder), { recursive: true });
  try {
    const quiet = ['--quiet', '--no-input', '--disable-pip-version-check', '--root-user-action=ignore'];
    const install = ['-m', 'pip', 'install', ...quiet, '--only-binary=:all:', '--target', making, requirement];
    await python(install, '', requirement);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}

/** Standard output of python3. @throws with a sentence that says what this test needs */
export async function python(args: string[], packages: string, requirement: string): Promise<string> {
  const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' };
  const missing = `This test needs python3 with pip and PyPI, for ${requirement}`;
  const { code, stdout, stderr } = await execute('python3', args, { cwd: REPOSITORY, env }).catch((error) => {
    throw new Error(`${missing}: ${error}`);
  });
  if (code !== 0) throw new Error(`${missing}; python3 ended with ${code}: ${stderr}`);
  return stdout;
}
