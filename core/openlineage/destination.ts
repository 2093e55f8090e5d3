/** Where events go: a file with an event a line, or an HTTP endpoint such as Marquez. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { RefitError } from '../spec/errors.ts';
import type { OpenLineageEvent } from '../spec/openlineage.ts';
import { post } from '../webhooks/post.ts';

export type Destination = { kind: 'file'; path: string } | { kind: 'http'; url: string; apiKey: string | undefined };

export interface OpenLineage {
  destination: Destination;
  /** Namespace of the jobs. */
  namespace: string;
}

const ENDPOINT = '/api/v1/lineage';

/**
 * REFIT_OPENLINEAGE (`file:<path>`, relative to `root`, or an http or https address: one without a path is that of the
 * server, whose endpoint follows), REFIT_OPENLINEAGE_API_KEY, REFIT_OPENLINEAGE_NAMESPACE. @throws RefitError REFIT_USAGE
 */
export function openLineageOf(root: string, env: NodeJS.ProcessEnv): OpenLineage | undefined {
  const address = env.REFIT_OPENLINEAGE;
  if (!address) return undefined;
  const namespace = env.REFIT_OPENLINEAGE_NAMESPACE || 'refit';
  if (address.startsWith('file:') && address.length > 5) {
    const file = path.resolve(root, address.slice(5).replace(/^\/\/(?=\/)/, ''));
    return { destination: { kind: 'file', path: file }, namespace };
  }
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new RefitError('REFIT_USAGE', 'REFIT_OPENLINEAGE is neither file:<path> nor an http or https address.');
  }
  const url = new URL(address);
  if (url.username || url.password) {
    throw new RefitError(
      'REFIT_USAGE',
      'REFIT_OPENLINEAGE holds a user or a password: put the key into REFIT_OPENLINEAGE_API_KEY.',
    );
  }
  if (url.pathname === '/') url.pathname = ENDPOINT;
  return {
    destination: { kind: 'http', url: url.href, apiKey: env.REFIT_OPENLINEAGE_API_KEY || undefined },
    namespace,
  };
}

/**
 * Sends an event. `again`: it may have arrived before, when only the answer was lost; a file then keeps the one it has.
 * @throws RefitError REFIT_OPENLINEAGE_FAILED
 */
export async function send(
  event: OpenLineageEvent,
  destination: Destination,
  { signal, again }: { signal: AbortSignal; again: boolean },
): Promise<void> {
  const line = JSON.stringify(event);
  if (destination.kind === 'file') return append(line, destination.path, again);
  const { url, apiKey } = destination;
  const receiver = { url, name: 'The receiver of OpenLineage events', code: 'REFIT_OPENLINEAGE_FAILED' } as const;
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  await post(receiver, { headers, body: line }, signal);
}

/** One line in one write, so that workers on one host do not mix theirs. */
async function append(line: string, file: string, again: boolean): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    const handle = await open(file, 'a+');
    try {
      const end = await tail(handle, again ? REMEMBERED_BYTES : 1);
      if (again && end.split('\n').includes(line)) return;
      // What a killed worker left behind stays a line of its own.
      const torn = end.length > 0 && !end.endsWith('\n');
      await handle.appendFile(`${torn ? '\n' : ''}${line}\n`);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as { code?: string };
    throw failed(`OpenLineage events cannot be written to ${file}${code ? ` (${code})` : ''}.`, { file });
  }
}

const REMEMBERED_BYTES = 4 << 20;

async function tail(handle: Awaited<ReturnType<typeof open>>, bytes: number): Promise<string> {
  const { size } = await handle.stat();
  const length = Math.min(size, bytes);
  const { buffer } = await handle.read({ buffer: Buffer.alloc(length), length, position: size - length });
  return buffer.toString('utf8');
}

const failed = (message: string, details: Record<string, unknown>) =>
  new RefitError('REFIT_OPENLINEAGE_FAILED', message, details);
