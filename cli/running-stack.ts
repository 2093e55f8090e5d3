/**
 * How the commands of one project share a Temporal server: the command that runs one (`refit dev`, or any other for as long
 * as it runs) writes `.refit/stack.json`, others join it. Every file names its process by a token that tells whether that
 * process is still alive; what a dead one left counts for nothing.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { RefitError } from '../core/spec/errors.ts';
import { withLock } from '../core/store/key-lock.ts';
import { isAbandoned, ownerToken } from '../core/store/process-identity.ts';

/** What the command that runs a stack tells those beside it. */
export interface RunningStack {
  owner: string;
  pid: number;
  /** As a person knows it, e.g. `refit dev`. */
  command: string;
  address: string;
  /** Address of the Temporal UI, where there is one. */
  ui?: string;
  gateway?: string;
}

/** The right to run this project's stack; others wait for it. */
export interface Claim {
  /** Tells the others where the stack is. */
  publish(stack: Omit<RunningStack, 'owner' | 'pid'>): void;
  /** Gives the right back. */
  release(): void;
}

const files = (state: string) => ({
  stack: path.join(state, 'stack.json'),
  claim: path.join(state, 'stack.claim'),
  lock: path.join(state, 'stack.lock'),
  users: path.join(state, 'stack-users'),
});

/** The stack that a living command of this project runs. */
export function findStack(state: string): RunningStack | undefined {
  const file = files(state).stack;
  const stack = readJson<RunningStack>(file);
  return stack?.owner && stack.address && isAlive(stack.owner, file) ? stack : undefined;
}

/** Who runs or starts a stack of this project: the process id of a living command. */
export function findOwner(state: string): number | undefined {
  const file = files(state).claim;
  const claim = readJson<{ owner: string; pid: number }>(file);
  return claim && isAlive(claim.owner, file) ? claim.pid : undefined;
}

/** Takes the right to run this project's stack; undefined while a living command has it. */
export async function claimStack(state: string): Promise<Claim | undefined> {
  const { stack, claim, lock } = files(state);
  const owner = ownerToken();
  mkdirSync(state, { recursive: true });
  return withLock(lock, async () => {
    if (findOwner(state) !== undefined) return undefined;
    rmSync(stack, { force: true });
    writeWhole(claim, { owner, pid: process.pid });
    return {
      publish: (told) => writeWhole(stack, { owner, pid: process.pid, ...told }),
      release: () => {
        if (readJson<RunningStack>(stack)?.owner === owner) rmSync(stack, { force: true });
        if (readJson<{ owner: string }>(claim)?.owner === owner) rmSync(claim, { force: true });
      },
    };
  });
}

/**
 * Marks this process as a user of the stack, which a short command that owns it waits for before it ends.
 * @returns how to leave; undefined when the stack has ended meanwhile
 */
export function joinStack(state: string, { owner }: RunningStack): (() => void) | undefined {
  const { users } = files(state);
  mkdirSync(users, { recursive: true });
  const mark = path.join(users, ownerToken());
  writeFileSync(mark, '');
  const leave = () => rmSync(mark, { force: true });
  // Marked first, then looked: the owner takes stack.json away first, and then looks for marks.
  if (findStack(state)?.owner === owner) return leave;
  leave();
  return undefined;
}

/** Ends the sharing of an owner's stack: returns when nobody uses it and nobody can join any more. */
export async function unshareStack(state: string, claim: Claim, onWait: () => void): Promise<void> {
  const { stack } = files(state);
  for (let told = false; ; told = true) {
    const content = readJson<RunningStack>(stack);
    rmSync(stack, { force: true });
    if (usersOf(state).length === 0) return;
    // Whoever comes meanwhile may join as well.
    if (content) claim.publish(content);
    if (!told) onWait();
    while (usersOf(state).length > 0) await pause(200);
  }
}

/** Waits until whoever is starting or ending a stack has done so. @throws RefitError REFIT_TEMPORAL_UNREACHABLE after `ms` */
export async function stackToSettle(state: string, deadline: number): Promise<void> {
  const pid = findOwner(state);
  if (Date.now() > deadline) {
    throw new RefitError(
      'REFIT_TEMPORAL_UNREACHABLE',
      `Another command of this project (process ${pid}) has been starting or ending a server for a minute.`,
      { pid },
    );
  }
  await pause(100);
}

function usersOf(state: string): string[] {
  const { users } = files(state);
  return readNames(users).filter((mark) => {
    const file = path.join(users, mark);
    if (isAlive(mark, file)) return true;
    rmSync(file, { force: true });
    return false;
  });
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A process of another machine (a container with the same folder) cannot be asked: what it wrote counts for a while. */
function isAlive(token: string, file: string): boolean {
  const writtenAt = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return !isAbandoned(token, Date.now() - writtenAt);
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function writeWhole(file: string, content: object): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(content));
  renameSync(draft, file);
}
