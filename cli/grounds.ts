import { RefitError } from '../core/spec/errors.ts';

/** Reads an option that must say something: a name, a reason. @throws RefitError REFIT_USAGE where it is blank */
export const said =
  (option: string) =>
  (text: string): string => {
    if (text.trim() !== '') return text.trim();
    throw new RefitError('REFIT_USAGE', `${option} is empty: the audit log keeps who decided, and why.`);
  };
