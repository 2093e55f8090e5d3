import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';

/** Places where any name may be added: tables of parameters and expressions. */
const OPEN = /^(model\.params|search\.space|sources\.[^.]+\.(derive|knownAt))\.[^.]+$/;

/**
 * The pipeline with values replaced by path, e.g. `{ 'model.rounds': 400, 'features.1.ttl': '3h' }`; the given one is left
 * alone. @throws RefitError REFIT_SET_INVALID when the path leads nowhere.
 */
export function applySet<T>(pipeline: T, set: Record<string, unknown>): T {
  const copy = structuredClone(pipeline);
  for (const [path, value] of Object.entries(set)) {
    const parts = path.split('.');
    const last = parts.pop() ?? '';
    let at: unknown = copy;
    for (const [depth, part] of parts.entries()) at = child(at, part, parts.slice(0, depth), path);
    if (!OPEN.test(path)) child(at, last, parts, path);
    (at as Record<string, unknown>)[last] = value;
  }
  return copy;
}

function child(at: unknown, part: string, before: string[], path: string): unknown {
  const known = typeof at === 'object' && at !== null ? Object.keys(at) : [];
  if (!known.includes(part)) {
    const place = before.length > 0 ? `"${before.join('.')}"` : 'the pipeline';
    throw new RefitError('REFIT_SET_INVALID', `--set ${path}: ${place} has no "${part}"${nearest(part, known)}.`, {
      path,
    });
  }
  return (at as Record<string, unknown>)[part];
}
