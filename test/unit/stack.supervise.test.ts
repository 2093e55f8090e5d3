import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { portsOf, requireFree } from '../../cli/dev-ports.ts';
import { type News, type Program, type Running, supervise } from '../../cli/supervise.ts';
import { RefitError } from '../../core/spec/errors.ts';

/** A program whose starts and ends the test decides. */
function script(outcomes: ('runs' | 'fails')[]) {
  const started: { die(how: string): void; stopped: boolean }[] = [];
  const start: Program['start'] = async () => {
    if (outcomes.shift() === 'fails') throw new RefitError('REFIT_WORKER_MISSING', 'It does not start.');
    let die: (how: string) => void = () => undefined;
    const one = { die: (how: string) => die(how), stopped: false };
    const ended = new Promise<string>((resolve) => {
      die = resolve;
    });
    started.push(one);
    const stop: Running['stop'] = async () => {
      one.stopped = true;
      die('ended with status 0');
    };
    return { pid: started.length, ended, stop };
  };
  return { program: { name: 'worker', start }, started };
}

/** News of a supervisor, to wait for. */
function listen() {
  const heard: News[] = [];
  let wake: () => void = () => undefined;
  const tell = (news: News) => {
    heard.push(news);
    wake();
  };
  const until = async (count: number): Promise<News[]> => {
    while (heard.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return heard;
  };
  return { tell, until };
}

test('a program that dies is started again at once', async () => {
  const { program, started } = script(['runs', 'runs']);
  const { tell, until } = listen();
  const supervised = await supervise(program, tell);
  started[0]?.die('was ended by SIGKILL');
  expect(await until(2)).toEqual([
    { name: 'worker', what: 'died', how: 'was ended by SIGKILL', waitMs: 0 },
    { name: 'worker', what: 'back', pid: 2 },
  ]);
  await supervised.stop();
  expect(started.map(({ stopped }) => stopped)).toEqual([false, true]);
});

test('a program that keeps dying is given more and more time', async () => {
  const { program, started } = script(['runs', 'runs', 'fails', 'runs']);
  const { tell, until } = listen();
  const supervised = await supervise(program, tell);
  started[0]?.die('was ended by SIGKILL');
  await until(2);
  started[1]?.die('was ended by SIGKILL');
  const heard = await until(5);
  expect(heard.map(({ what }) => what)).toEqual(['died', 'back', 'died', 'failed', 'back']);
  expect(heard.flatMap((news) => ('waitMs' in news ? [news.waitMs] : []))).toEqual([0, 250, 500]);
  await supervised.stop();
});

test('what does not start the first time is told, and nothing is tried again', async () => {
  const { program, started } = script(['fails', 'runs']);
  await expect(supervise(program, () => undefined)).rejects.toMatchObject({ code: 'REFIT_WORKER_MISSING' });
  expect(started).toEqual([]);
});

test('a program that is stopped is not started again', async () => {
  const { program, started } = script(['runs', 'runs']);
  const { tell, until } = listen();
  const supervised = await supervise(program, tell);
  await supervised.stop();
  await supervised.stop();
  expect(started).toHaveLength(1);
  expect(await until(0)).toEqual([]);
});

let taken: Server | undefined;
afterEach(() => taken?.close());

test('ports that are taken are named, with what they are for', async () => {
  taken = createServer();
  await new Promise<void>((resolve) => taken?.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  await expect(requireFree({ gateway: port })).rejects.toMatchObject({
    code: 'REFIT_PORT_IN_USE',
    message: `Port ${port} (for the gateway) is in use.`,
    cure: expect.stringContaining('--port-base'),
  });
});

test.each([
  [undefined, false, {}, { temporal: 7233, ui: 8233, gateway: 8080 }],
  [undefined, true, { REFIT_GATEWAY_PORT: '9999' }, { temporal: 7233, gateway: 9999 }],
  [9000, false, { REFIT_GATEWAY_PORT: '9999' }, { temporal: 9000, ui: 9001, gateway: 9002 }],
])('--port-base %s, headless %s', (base, headless, env, ports) => {
  expect(portsOf(base, headless, env)).toEqual(ports);
});

test('a REFIT_GATEWAY_PORT that is no port is refused by name', () => {
  expect(() => portsOf(undefined, false, { REFIT_GATEWAY_PORT: '80 80' })).toThrow(/REFIT_GATEWAY_PORT is "80 80"/);
});
