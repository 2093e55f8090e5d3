import { readFile } from 'node:fs/promises';
import { Client, Connection } from '@temporalio/client';
import type { Progress } from '../../core/spec/run.ts';
import { type Project, startRefit } from './project.ts';

/** `refit run … --json`, watched from outside while it is under way; its worker can be killed. Linux only. */
export async function watchRun(project: Project, args: string[]) {
  const { child, output, outcome } = startRefit(project, ['run', ...args, '--json']);
  const address = await until(() => /Temporal (127\.0\.0\.1:\d+)/.exec(output.stderr)?.[1]);
  const connection = await Connection.connect({ address });
  const workflow = new Client({ connection }).workflow.getHandle(/train\/\S+/.exec(output.stderr)?.[0] ?? '');
  return {
    /** The first figure of its progress that will do. */
    reaches: (figure: (progress: Progress) => number | undefined, suits: (seen: number) => boolean): Promise<number> =>
      until(async () => {
        const progress = await workflow.query<Progress>('progress').catch(() => undefined);
        const seen = progress && figure(progress);
        return seen !== undefined && suits(seen) ? seen : undefined;
      }),
    killWorker: async () => void process.kill(await workerOf(child.pid), 'SIGKILL'),
    async ended() {
      try {
        return await outcome;
      } finally {
        await connection.close();
      }
    },
  };
}

/** The worker among the children of the command, by the file it runs. */
async function workerOf(parent: number | undefined): Promise<number> {
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(' ');
  for (const pid of children) {
    if (/\/worker\.js|workers\/all\.ts/.test(await readFile(`/proc/${pid}/cmdline`, 'utf8'))) return Number(pid);
  }
  throw new Error(`no worker among the children of ${parent}`);
}

async function until<T>(probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 2400; tries++) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('did not happen within two minutes');
}
