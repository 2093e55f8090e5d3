// `npx refit …` and `npm run …` put npm and a shell between a person and the command. A signal ends npm and the shell, and
// they hand it on to nobody: the command would run on, unseen. So it looks whether they are still there.
import { readFileSync } from 'node:fs';

const LOOK_MS = 250;

/** Ends this process as SIGTERM would, once npm, which started it, is gone. Does nothing where npm did not. */
export function endWithNpm() {
  if (!process.env.npm_command) return;
  const ancestors = chain();
  const looking = setInterval(() => {
    if (chain() === ancestors) return;
    clearInterval(looking);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_MS).unref();
}

/** Process ids of the parent and, where /proc tells, of its parent. */
function chain() {
  return `${process.ppid} ${parentOf(process.ppid)}`;
}

function parentOf(pid) {
  try {
    // After the name in brackets, which may hold anything: state, parent, …
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[1];
  } catch {
    return '';
  }
}
