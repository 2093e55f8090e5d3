/** What an answer of an S3 server, or none, means: for the one who asked, for whether to ask again, and for people. */
import { type ErrorCode, RefitError } from '../spec/errors.ts';
import { storeError, systemCode } from './store-errors.ts';

/**
 * 'missing': there is no such object (or upload); 'precondition': the condition of a write did not hold; 'passing': ask again;
 * 'damaged': the bytes are not those that were stored; 'final': asking again does not help.
 */
export type S3Outcome = 'missing' | 'precondition' | 'passing' | 'damaged' | 'final';

/** Bytes that do not have the digest that was stored with them. */
export class DamagedBody extends Error {}

const PASSING_NAMES = new Set([
  'SlowDown',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'OperationAborted',
  // Two conditional writes met inside the server: it asks for another try.
  'ConditionalRequestConflict',
  // The bytes were altered on their way to the server.
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'TimeoutError',
]);
const PASSING_SYSTEM =
  /^(ECONN|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ERR_STREAM_PREMATURE|EPROTO)/;
const PASSING_WORDS = /socket hang up|aborted|premature|terminated|deserialization|network/i;

interface Described {
  name: string;
  message: string;
  status: number | undefined;
  requestId: string | undefined;
}

function describe(error: unknown): Described {
  const {
    name = 'Error',
    message = String(error),
    Code,
    $metadata,
  } = (error ?? {}) as Partial<Error> & {
    Code?: string;
    $metadata?: { httpStatusCode?: number; requestId?: string };
  };
  return { name: Code ?? name, message, status: $metadata?.httpStatusCode, requestId: $metadata?.requestId };
}

export function s3Outcome(error: unknown): S3Outcome {
  if (error instanceof RefitError) return 'final';
  const { name, message, status } = describe(error);
  if (error instanceof DamagedBody || /checksum mismatch/i.test(message)) return 'damaged';
  if (PASSING_NAMES.has(name) || status === 429 || (status !== undefined && status >= 500)) return 'passing';
  if (status === 404 && /^(NoSuchKey|NotFound|NoSuchUpload|NoSuchVersion|404)$/.test(name)) return 'missing';
  if (status === 412) return 'precondition';
  if (PASSING_SYSTEM.test(systemCode(error) ?? '')) return 'passing';
  // An answer that ends too early has a status of its own, 200.
  if (PASSING_WORDS.test(message) && (status === undefined || status < 300)) return 'passing';
  return 'final';
}

const DENIED =
  /AccessDenied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Credentials|AuthorizationHeader|TokenRefresh|AllAccessDisabled|UserNotFound|^403$|^401$/i;
const FULL = /QuotaExceeded|InsufficientStorage|NoSpace|StorageFull/i;

/** The error of the catalogue for what an S3 server said last. `doing`: `read blobs/…`. */
export function s3Error(error: unknown, address: string, doing: string): RefitError {
  // A disk of this machine, which local copies are written to, may be what fails.
  const own = storeError(error, `a local copy of what lies in ${address}`);
  if (own instanceof RefitError) return own;
  const { name, message, status, requestId } = describe(error);
  // Not the SDK's own error: it holds on to request, socket and agent.
  const cause = Object.assign(new Error(message), { name, stack: error instanceof Error ? error.stack : undefined });
  const make = (code: ErrorCode, sentence: string): RefitError =>
    new RefitError(code, sentence, { address, doing, said: name, status, requestId }, { cause });
  const said = `${name}${status === undefined ? '' : `, ${status}`}`;
  if (s3Outcome(error) === 'damaged') {
    return make(
      'REFIT_STORE_CORRUPT',
      `The object to ${doing} in ${address} is not what was stored: its checksum differs.`,
    );
  }
  if (name === 'NoSuchBucket' || (status === 404 && name === 'NotFound')) {
    return make('REFIT_STORE_MISSING', `There is no bucket for the store ${address}.`);
  }
  if (FULL.test(name) || status === 507)
    return make('REFIT_STORE_FULL', `The store ${address} takes no more (${said}).`);
  if (status === 401 || status === 403 || DENIED.test(name)) {
    return make('REFIT_STORE_DENIED', `The store ${address} lets these credentials not ${doing} (${said}).`);
  }
  if (s3Outcome(error) === 'passing') {
    const why = status === undefined ? firstSentence(message) || name : said;
    return make(
      'REFIT_STORE_UNREACHABLE',
      `The store ${address} does not answer: to ${doing} was tried several times (${why}).`,
    );
  }
  return make(
    'REFIT_STORE_UNWRITABLE',
    `The store ${address} refuses to ${doing} (${said}): ${firstSentence(message)}`,
  );
}

const firstSentence = (text: string): string => text.split('\n')[0]?.slice(0, 300) ?? '';
