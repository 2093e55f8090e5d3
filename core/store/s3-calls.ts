/**
 * Calls to an S3 server: bounded tries with growing pauses, and an answer that says whether an earlier try may have been
 * carried out without our hearing of it. The AWS SDK is loaded with the first call: a process that never makes one, or whose
 * store is a folder, does not pay for it (30 MB, 0.2 s). It is told to try once: it would hide what an unheard try did.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { createS3Client } from './s3-client.ts';
import { s3Error, s3Outcome } from './s3-errors.ts';

export type S3Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Access {
  client: S3Client;
  sdk: S3Sdk;
}

/**
 * `refused`: there is nothing of that name, or the condition did not hold. `unsure`: an earlier try of this call ended without
 * an answer (cut, timed out, status 500 and above), so the server may have done it.
 */
export type Answer<T> =
  | { answer: T; refused?: undefined; unsure: boolean }
  | { answer?: undefined; refused: 'missing' | 'precondition'; unsure: boolean };

export interface S3Calls {
  /** `doing`, for people: `read blobs/…`. @throws RefitError REFIT_STORE_* */
  call<T>(doing: string, work: (access: S3Access) => Promise<T>): Promise<Answer<T>>;
}

const TRIES = 7;
/** Damage does not pass, but bytes may have been altered on the way: they are read twice. */
const TRIES_DAMAGED = 2;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 4_000;
const CONNECT_MS = 5_000;
/** A connection on which nothing moves for this long is given up. */
const IDLE_MS = 60_000;

/** `address` is for people. Reads the AWS variables of the environment, and what else the SDK knows of. */
export function createS3Calls(address: string, env: NodeJS.ProcessEnv = process.env): S3Calls {
  let access: Promise<S3Access> | undefined;
  return {
    async call(doing, work) {
      access ??= open(env);
      let unsure = false;
      let damaged = 0;
      for (let attempt = 1; ; attempt++) {
        try {
          return { answer: await work(await access), unsure };
        } catch (error) {
          const outcome = s3Outcome(error);
          if (outcome === 'missing' || outcome === 'precondition') return { refused: outcome, unsure };
          // Counted by itself: one damaged read after a cut one proves nothing yet, and a proof is written on the object.
          const over = outcome === 'damaged' ? ++damaged >= TRIES_DAMAGED : outcome === 'final' || attempt >= TRIES;
          if (over) throw s3Error(error, address, doing);
          unsure ||= outcome === 'passing';
        }
        // Half of the pause by chance: writers that were slowed down together come back apart.
        await sleep(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2));
      }
    },
  };
}

/** Region, endpoint and credentials as for everything in S3. */
async function open(env: NodeJS.ProcessEnv): Promise<S3Access> {
  const client = await createS3Client(env, {
    maxAttempts: 1,
    followRegionRedirects: true,
    // The store has a digest of its own, and must be able to read what is damaged.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
  });
  return { client, sdk: await import('@aws-sdk/client-s3') };
}
