import { existsSync } from 'node:fs';
import path from 'node:path';
import { homeProject } from '../infra/parts.mjs';

/**
 * The project's root: the nearest folder above that holds `pipelines/` and a package.json; else the project that Refit is
 * installed in, or Refit's own clone.
 */
export function projectRoot(from: string = process.cwd()): string {
  if (process.env.REFIT_ROOT) return path.resolve(process.env.REFIT_ROOT);
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'pipelines')) && existsSync(path.join(folder, 'package.json'))) return folder;
    if (path.dirname(folder) === folder) return homeProject;
  }
}
