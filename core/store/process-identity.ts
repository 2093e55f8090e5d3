/**
 * Names for what a process leaves on disk while it works (locks, temporary files), so that another process can tell whether
 * its owner is still alive: `<machine>.<pid>.<start time>.<nonce>`.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { sha256 } from './digest.ts';

/** What belongs to a machine or container that we cannot look into counts as abandoned when it is this old. */
const FOREIGN_MS = 120_000;

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** Process ids mean something only within one boot and one pid namespace (a container has its own). */
const machine = sha256(
  [
    hostname(),
    attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    attempt(() => readlinkSync('/proc/self/ns/pid')),
  ].join('\n'),
).slice(0, 12);

/** State and start time of a process (fields 3 and 22 of /proc/<pid>/stat); undefined where /proc does not tell. */
function procStat(pid: number): { state: string; start: string } | undefined {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] && fields[19] ? { state: fields[0], start: fields[19] } : undefined;
}

const start = procStat(process.pid)?.start ?? '0';

/** A new token of this process; no two are equal. */
export function ownerToken(): string {
  return `${machine}.${process.pid}.${start}.${randomBytes(8).toString('hex')}`;
}

/**
 * Whether the process behind a token is gone. A process of another machine or container cannot be asked: its things count as
 * abandoned when older than two minutes. False for names that are no token.
 */
export function isAbandoned(token: string, ageMs: number): boolean {
  const match = /^([0-9a-f]{12})\.(\d+)\.(\d+)\.[0-9a-f]{16}$/.exec(token);
  if (!match) return false;
  if (match[1] !== machine) return ageMs > FOREIGN_MS;
  const pid = Number(match[2]);
  const seen = procStat(pid);
  // A zombie answers to kill(pid, 0) but will never write again; a reused pid has another start time.
  if (seen && start !== '0') return seen.start !== match[3] || seen.state === 'Z' || seen.state === 'X';
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
