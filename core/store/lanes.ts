/** Runs work of one lane one after the other; who is cancelled while waiting leaves at once. @throws the signal's reason */
export type Lanes = <T>(lane: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<void>>();
  return async (lane, signal, work) => {
    const before = tails.get(lane) ?? Promise.resolve();
    const { promise: mine, resolve: leave } = withResolvers();
    const tail = before.then(() => mine);
    tails.set(lane, tail);
    try {
      await untilAborted(before, signal);
      return await work();
    } finally {
      leave();
      if (tails.get(lane) === tail) tails.delete(lane);
    }
  };
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { signal: stop.signal, once: true });
  });
  try {
    await Promise.race([wait, aborted]);
  } finally {
    stop.abort();
  }
}
