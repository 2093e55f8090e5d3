import koffi from 'koffi';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * Asks Linux to kill this process when its parent dies, however it dies and whatever this process is doing. Elsewhere the
 * closed IPC channel has to do, which is noticed between rounds.
 */
export function dieWithParent(parent: number): void {
  if (process.platform === 'linux') {
    const prctl = koffi.load(null).func('int prctl(int option, unsigned long value)') as (
      option: number,
      value: number,
    ) => number;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  // It may have died before we asked: somebody else is our parent then.
  if (process.ppid !== parent) process.exit(1);
}
