import { RefitError } from '../core/spec/errors.ts';

/** `model.rounds=400` → number, `model.trainer=logistic` → string, JSON where it parses. */
export function collectSet(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new RefitError('REFIT_SET_INVALID', `--set ${text}: there is no "path=value" in it.`);
  const value = text.slice(at + 1);
  try {
    return { ...before, [text.slice(0, at)]: JSON.parse(value) as unknown };
  } catch {
    return { ...before, [text.slice(0, at)]: value };
  }
}
