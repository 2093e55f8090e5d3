import { type ErrorCode, RefitError } from '../spec/errors.ts';

/** Whom something is sent to, in the words of its errors. The address may carry a token: only its origin is told. */
export interface Receiver {
  url: string;
  /** e.g. `The webhook`. */
  name: string;
  /** Code of its errors. */
  code: ErrorCode;
}

const TIMEOUT_MS = 10_000;

/** POSTs JSON. @throws RefitError of the receiver's code where it does not answer with 2xx within ten seconds; `status` in its details */
export async function post(
  { url, name, code }: Receiver,
  { headers, body }: { headers: Record<string, string>; body: string },
  signal: AbortSignal,
): Promise<void> {
  const place = `${name} at ${new URL(url).origin}`;
  let status: number;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'refit', ...headers },
      body,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    status = response.status;
  } catch (error) {
    // Not handed on as the cause: its text may hold the whole address, and would stand in the history.
    const { name: kind, cause } = error as { name?: string; cause?: { code?: string } };
    const why = cause?.code ?? (kind === 'TimeoutError' ? `nothing within ${TIMEOUT_MS / 1000} s` : undefined);
    throw new RefitError(code, `${place} does not answer${why ? ` (${why})` : ''}.`);
  }
  if (status < 200 || status > 299) throw new RefitError(code, `${place} answers ${status}.`, { status });
}

/** About what was sent. A key or an address that is wrong (401, 403, 404) may be put right meanwhile. */
const REFUSALS: readonly unknown[] = [400, 405, 406, 410, 411, 413, 414, 415, 422];

/** Whether a receiver has said that it will never take this: trying again would not help. */
export function isRefused(error: unknown): error is RefitError {
  return error instanceof RefitError && REFUSALS.includes(error.details.status);
}
