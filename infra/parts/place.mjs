// Where Refit's own files lie, and where it may write what it builds and fetches.
import { existsSync } from 'node:fs';
import { lstat, mkdir, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The real place; tests make others. */
export const place = placeOf(fileURLToPath(new URL('../..', import.meta.url)), process.env, homedir());

/**
 * Working on Refit itself, all that is made stays in the clone. Installed into somebody's project, npm has done its part
 * already, and what is made is kept per user: a second project must not build the Temporal server again.
 */
export function placeOf(root, env, home) {
  const at = root.indexOf(`${sep}node_modules${sep}`);
  if (at < 0) {
    const cache = env.REFIT_CACHE ? resolve(env.REFIT_CACHE) : join(root, '.refit');
    return {
      root,
      project: env.REFIT_ROOT ? resolve(env.REFIT_ROOT) : root,
      cache,
      installed: false,
      command: 'node infra/setup.mjs',
      env,
    };
  }
  const cache = env.REFIT_CACHE ? resolve(env.REFIT_CACHE) : join(env.XDG_CACHE_HOME || join(home, '.cache'), 'refit');
  const project = env.REFIT_ROOT ? resolve(env.REFIT_ROOT) : root.slice(0, at);
  return { root, project, cache, installed: true, command: 'npx --no refit setup', env };
}

/** A path for people: within a clone of Refit from its root. */
export function shown({ root, installed }, path) {
  return installed || relative(root, path).startsWith('..') ? path : relative(root, path);
}

/** Links what is kept elsewhere to where a project of its own looks for it, `.refit/lib`. */
export async function shareWithProject({ project, cache }) {
  const link = join(project, '.refit', 'lib');
  const target = join(cache, 'lib');
  if (link === target || !existsSync(target)) return;
  const there = await lstat(link).catch(() => undefined);
  // A folder of the project's own stays; a link that leads nowhere is mended.
  if (there && (!there.isSymbolicLink() || existsSync(link))) return;
  await rm(link, { force: true });
  await mkdir(join(project, '.refit'), { recursive: true });
  await symlink(target, link);
}
