import { RefitError } from '../spec/errors.ts';

/** Where Redis is. */
export interface RedisAddress {
  url: string;
  /** Without user and password, for people. */
  shown: string;
}

/** Reads `redis[s]://[[user]:password@]host[:port][/database]`. @throws RefitError REFIT_USAGE when it is none */
export function redisAddress(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || !/^\/?\d*$/.test(url.pathname)) {
    // The text may hold a password: it is not repeated.
    const message = 'REFIT_ONLINE is no address of Redis: it looks like redis://[:password@]host[:port][/database].';
    throw new RefitError('REFIT_USAGE', message);
  }
  const database = url.pathname.slice(1) || '0';
  return { url: text, shown: `${url.protocol}//${url.hostname}:${url.port || '6379'}/${database}` };
}
