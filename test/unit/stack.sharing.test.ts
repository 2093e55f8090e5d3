import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  claimStack,
  findOwner,
  findStack,
  joinStack,
  type RunningStack,
  unshareStack,
} from '../../cli/running-stack.ts';
import { ownerToken } from '../../core/store/process-identity.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'refit-stack-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const ADDRESS = '127.0.0.1:7233';
const own = async () => {
  const claim = await claimStack(state);
  if (!claim) throw new Error('the stack is free here');
  return claim;
};
/** The token of a process with this one's id that started at another time: it is gone. */
const tokenOfTheDead = () => ownerToken().replace(/\.\d+\.([0-9a-f]{16})$/, '.1.$1');
const write = (name: string, content: object) => writeFile(path.join(state, name), JSON.stringify(content));

test('one command at a time may run a stack, and the next when it has given the right back', async () => {
  const claim = await own();
  expect(await claimStack(state)).toBeUndefined();
  expect(findOwner(state)).toBe(process.pid);
  claim.release();
  expect(findOwner(state)).toBeUndefined();
  expect(await claimStack(state)).toBeDefined();
});

test('two that ask at once: one gets it', async () => {
  const claims = await Promise.all([1, 2, 3, 4].map(() => claimStack(state)));
  expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
});

test('a stack is found by others from when it is told until its owner is gone', async () => {
  const claim = await own();
  expect(findStack(state)).toBeUndefined();
  claim.publish({ command: 'refit dev', address: ADDRESS, ui: 'http://127.0.0.1:8233' });
  expect(findStack(state)).toMatchObject({ pid: process.pid, command: 'refit dev', address: ADDRESS });
  claim.release();
  expect(findStack(state)).toBeUndefined();
});

test('what a killed owner left counts for nothing, also when its process id lives on in another process', async () => {
  const owner = tokenOfTheDead();
  await write('stack.json', { owner, pid: process.pid, command: 'refit dev', address: ADDRESS });
  await write('stack.claim', { owner, pid: process.pid });
  expect(findStack(state)).toBeUndefined();
  expect(findOwner(state)).toBeUndefined();
  expect(await claimStack(state)).toBeDefined();
});

test('half a file of a killed owner counts for nothing', async () => {
  await writeFile(path.join(state, 'stack.json'), '{"owner":"');
  await writeFile(path.join(state, 'stack.claim'), '{"owner":"');
  expect(findStack(state)).toBeUndefined();
  expect(await claimStack(state)).toBeDefined();
});

test('an owner waits for those who joined, and nobody can join afterwards', async () => {
  const claim = await own();
  claim.publish({ command: 'refit run', address: ADDRESS });
  const stack = findStack(state) as RunningStack;
  const leave = joinStack(state, stack);
  expect(leave).toBeDefined();
  const events: string[] = [];
  const unshared = unshareStack(state, claim, () => {
    events.push('waits');
    // Others may still join while it waits.
    expect(findStack(state)).toMatchObject({ address: ADDRESS });
    setTimeout(() => {
      events.push('left');
      leave?.();
    }, 50);
  });
  await unshared;
  expect(events).toEqual(['waits', 'left']);
  expect(findStack(state)).toBeUndefined();
  expect(joinStack(state, stack)).toBeUndefined();
  expect(await readdir(path.join(state, 'stack-users'))).toEqual([]);
});

test('an owner does not wait for a user that was killed', async () => {
  const claim = await own();
  claim.publish({ command: 'refit run', address: ADDRESS });
  await mkdir(path.join(state, 'stack-users'));
  await writeFile(path.join(state, 'stack-users', tokenOfTheDead()), '');
  let waited = false;
  await unshareStack(state, claim, () => {
    waited = true;
  });
  expect(waited).toBe(false);
});

test('who found a stack that has changed hands meanwhile does not join it', async () => {
  const claim = await own();
  claim.publish({ command: 'refit run', address: ADDRESS });
  const found = { ...(findStack(state) as RunningStack), owner: tokenOfTheDead() };
  expect(joinStack(state, found)).toBeUndefined();
});
