import { readFile } from 'node:fs/promises';

/** A process and what it was started with; Linux only. */
export interface Process {
  pid: number;
  command: string;
}

/** A process and everything below it. */
export async function processTree(pid: number): Promise<Process[]> {
  const command = (await text(`/proc/${pid}/cmdline`)).replaceAll('\0', ' ').trim();
  const children = (await text(`/proc/${pid}/task/${pid}/children`)).trim().split(' ').filter(Boolean).map(Number);
  const below = await Promise.all(children.map(processTree));
  return [{ pid, command }, ...below.flat()];
}

/** Memory of these processes in MiB; what they share is counted once (proportional set size). */
export async function memoryOf(processes: Process[]): Promise<number> {
  const sizes = processes.map(async ({ pid }) =>
    Number(/^Pss:\s+(\d+)/m.exec(await text(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
  );
  return (await Promise.all(sizes)).reduce((sum, kib) => sum + kib, 0) / 1024;
}

/** Those that are still there (and are no zombies that only wait to be counted). */
export async function stillRunning(processes: Process[]): Promise<Process[]> {
  const states = await Promise.all(
    processes.map(async ({ pid }) => /^State:\s+(\w)/m.exec(await text(`/proc/${pid}/status`))?.[1]),
  );
  return processes.filter((_, index) => states[index] !== undefined && states[index] !== 'Z');
}

const text = (path: string) => readFile(path, 'utf8').catch(() => '');
