/**
 * The catalogue of errors. Every failure a user can meet has a code, a cure and an exit status here, and a row in
 * docs/errors.md (a test holds the page to this table). Lower layers throw `RefitError`; one activity interceptor turns it
 * into a Temporal ApplicationFailure.
 */
interface Entry {
  /** Exit status of the CLI: 1 failed, 2 wrong usage, 3 rejected. */
  exit: 1 | 2 | 3;
  /** Whether trying the same thing again can help. */
  retryable: boolean;
  /** What to do about it, in one sentence; shown with every error. */
  cure: string;
}

const fatal = (cure: string): Entry => ({ exit: 1, retryable: false, cure });
const usage = (cure: string): Entry => ({ exit: 2, retryable: false, cure });
const passing = (cure: string): Entry => ({ exit: 1, retryable: true, cure });

export const ERRORS = {
  REFIT_USAGE: usage('See `refit --help` for the commands and their options.'),
  REFIT_PIPELINE_UNKNOWN: usage(
    'Use one of the listed names, or point REFIT_PIPELINES at the folder that holds yours.',
  ),
  REFIT_PIPELINE_INVALID: usage('Mend the named place in pipeline.ts; `refit/spec` types show what is allowed.'),
  REFIT_SET_INVALID: usage('Use --set path=value with a path that the pipeline has, e.g. --set model.rounds=400.'),
  REFIT_AS_OF_INVALID: usage('Give --as-of as an ISO date or time in UTC, e.g. 2014-01-01 or 2014-01-01T06:00:00Z.'),
  REFIT_SCHEDULE_INVALID: usage(
    'Mend `schedule` or `materialize` in pipeline.ts: a cron expression of five fields, or `every`.',
  ),
  REFIT_SCHEDULE_UNKNOWN: usage('See `refit schedules list`; `refit schedules apply` creates what pipelines declare.'),
  REFIT_SCHEDULE_TAKEN: usage('Delete the schedule of that id in the Temporal UI, or give the pipeline another name.'),
  REFIT_SOURCE_MISSING: fatal('Check the path of the source in pipeline.ts; it is relative to the project root.'),
  REFIT_SOURCE_UNREADABLE: fatal('Replace the named file with a readable one; other partitions are kept.'),
  REFIT_SOURCE_UNREACHABLE: fatal(
    'Check the address of the source, the credentials in the environment (AWS_…, the named variable), and the network.',
  ),
  REFIT_SOURCE_CHANGED: fatal('Run again once nothing writes to the named file; finished partitions are kept.'),
  REFIT_CONTRACT_INVALID: usage('Mend the named keyword of the contract (JSON Schema of one row).'),
  REFIT_CONTRACT_MISSING_COLUMN: fatal('Add the column to the file, or take it out of `required` in the contract.'),
  REFIT_CONTRACT_UNKNOWN_COLUMN: fatal(
    'Name the column in the contract, leave it out of the file, or allow any with "additionalProperties": true.',
  ),
  REFIT_CONTRACT_TYPE: fatal('Write the column with the type the contract names, or change the contract.'),
  REFIT_CONTRACT_BAD_ROWS: fatal(
    'Look at the quarantined rows, mend the data, or raise maxBadShare if they are acceptable.',
  ),
  REFIT_CONTRACT_TABLE: fatal(
    'Mend the data, or widen the named rule of the contract; with "severity": "warn" it is only reported.',
  ),
  REFIT_SCHEMA_CHANGED: fatal(
    'Restore the columns as they were, or raise x-version in the contract to accept the new ones.',
  ),
  REFIT_PII_KEY_MISSING: fatal(
    'Set REFIT_PII_KEY to a secret of at least 16 bytes, the same for every worker, e.g. from `openssl rand -hex 32`.',
  ),
  REFIT_DATA_STALE: fatal("Load newer data, run with an earlier --as-of, or raise the source's freshness."),
  REFIT_EXPRESSION_INVALID: usage('Mend the SQL expression in pipeline.ts; it may use the columns of its source only.'),
  REFIT_WINDOW_EMPTY: fatal('Choose an --as-of within the data, or shorten the split in pipeline.ts.'),
  REFIT_LABEL_ONE_CLASS: fatal('Check the label expression and the period; both outcomes must occur in every split.'),
  REFIT_TRAINING_FAILED: fatal("Check the model parameters in pipeline.ts; the message is the trainer's own."),
  REFIT_TRAINER_CRASHED: passing(
    "The training process died and will be started again; see the worker's log if it keeps dying.",
  ),
  REFIT_MODEL_UNSUPPORTED: fatal(
    'Use the parameters that the trainer supports; the message names the one that it does not.',
  ),
  REFIT_MEMORY_EXCEEDED: fatal('Set REFIT_MEMORY to more than it is; 2GB unless set.'),
  REFIT_STORE_FULL: fatal(
    'Free space on the disk of the store (REFIT_STORE), then run again; nothing finished is lost.',
  ),
  REFIT_STORE_UNWRITABLE: fatal('Make the store (REFIT_STORE) a folder or a bucket that this user may write to.'),
  REFIT_STORE_DENIED: fatal(
    'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and what they may do.',
  ),
  REFIT_STORE_MISSING: fatal('Create the bucket, or mend its name in REFIT_STORE or the server in AWS_ENDPOINT_URL.'),
  REFIT_STORE_UNREACHABLE: passing(
    'Check AWS_ENDPOINT_URL and the network; what was begun goes on when the store answers again.',
  ),
  REFIT_ONLINE_UNREACHABLE: passing(
    'Start the Redis server of REFIT_ONLINE, or correct the address; `refit doctor` tells if it answers.',
  ),
  REFIT_ONLINE_REFUSED: fatal(
    'Mend what Redis says: password or database in REFIT_ONLINE, its memory, a read-only replica.',
  ),
  REFIT_ONLINE_EVICTS: fatal(
    'Set maxmemory-policy to noeviction: `redis-cli CONFIG SET maxmemory-policy noeviction`, and in redis.conf.',
  ),
  REFIT_ONLINE_STALE: fatal(
    'Materialize the features again: `refit features materialize`, or a run, more often than now.',
  ),
  REFIT_ONLINE_WINDOW_TOO_LARGE: fatal(
    'Shorten the window, or ask for count, sum, avg, std, min or max of it instead.',
  ),
  REFIT_STORE_CORRUPT: passing('Run again: the damaged artefact is made anew from its inputs.'),
  REFIT_REGISTRY_DAMAGED: fatal(
    'Restore the named object from a backup; `refit audit <model>` tells which entries can be trusted.',
  ),
  REFIT_CONFLICT: passing('Another process changed the same record; the step tries again by itself.'),
  REFIT_TEMPORAL_UNREACHABLE: fatal('Check TEMPORAL_ADDRESS, or unset it to use the embedded server.'),
  REFIT_WORKER_MISSING: fatal(
    'Start a worker for the named task queue, or unset TEMPORAL_ADDRESS to use the embedded stack.',
  ),
  REFIT_SETUP_MISSING: fatal(
    'Run `npx --no refit setup` (in a clone: `node infra/setup.mjs`); `refit doctor` shows what is missing.',
  ),
  REFIT_PORT_IN_USE: fatal('Stop what listens there, or move all ports with --port-base.'),
  REFIT_RUN_UNKNOWN: usage('See `refit runs` for the runs there are.'),
  REFIT_MODEL_UNKNOWN: usage('See `refit models` for the models and their versions.'),
  REFIT_LINEAGE_UNKNOWN: usage(
    'Name a file as the pipeline reads it, or the beginning of a digest that `refit lineage` prints.',
  ),
  REFIT_LINEAGE_AMBIGUOUS: usage('Write more of it, or one of the listed names with its kind in front.'),
  REFIT_KEY_REUSED: usage('Use another key for another run, or the same arguments as the first time.'),
  REFIT_NOT_WAITING: fatal('See `refit status <run>`; only a run that waits for approval can be approved or rejected.'),
  REFIT_NOT_SERVING: fatal(
    'See `refit model <model>` for the version that serves, and `refit audit <model>` for what was decided.',
  ),
  REFIT_NOT_PAUSED: fatal('See `refit model <model>` for its state; `refit pause <model>` pauses it.'),
  REFIT_VERSION_BARRED: fatal(
    'Add --lift-bar to bring the version back in spite of that; the audit log keeps who did, and why.',
  ),
  REFIT_REQUEST_INVALID: usage("Mend the named field of the request; GET /v2/models/<model> tells the model's inputs."),
  REFIT_ENTITY_UNKNOWN: usage('Send raw fields instead of keys, or materialize the features of this entity first.'),
  REFIT_OVERLOADED: passing('Send again after a moment; the gateway is at the limit of its queue.'),
  REFIT_WEBHOOK_FAILED: passing('Check REFIT_WEBHOOK_URL and its receiver; delivery is tried again for a day.'),
  REFIT_OPENLINEAGE_FAILED: passing(
    'Check REFIT_OPENLINEAGE and its receiver or file; delivery is tried again for a day.',
  ),
  REFIT_REJECTED: {
    exit: 3,
    retryable: false,
    cure: 'See the gates in the report; the version is kept, marked and barred.',
  },
  REFIT_CANCELLED: fatal('Run it again; finished steps are kept.'),
  REFIT_INTERNAL: fatal('This is a defect in Refit: run again with --debug for the stack, and report it.'),
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof ERRORS;

/** An error of the catalogue. `message` is one sentence that names the thing; the cure comes from the catalogue. */
export class RefitError extends Error {
  override readonly name = 'RefitError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
  get cure(): string {
    return ERRORS[this.code].cure;
  }
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
  get exit(): 1 | 2 | 3 {
    return ERRORS[this.code].exit;
  }
}
