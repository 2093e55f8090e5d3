import {
  isGrpcServiceError,
  ServiceError,
  WorkflowFailedError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  NamespaceNotFoundError,
  TerminatedFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { ERRORS, type ErrorCode, RefitError } from '../core/spec/errors.ts';

const WRAPPERS = [WorkflowFailedError, WorkflowUpdateFailedError, ActivityFailure, ChildWorkflowFailure];

/** Status codes of gRPC that say the server cannot be spoken to: no answer in time, none at all, or not with these papers. */
const UNREACHABLE = new Map([
  [4, 'did not answer in time'],
  [7, 'refuses these credentials'],
  [14, 'does not answer'],
  [16, 'refuses these credentials'],
]);

/** Finds the error of the catalogue under Temporal's wrappers; what is in none is REFIT_INTERNAL with its first line. */
export function asRefitError(error: unknown): RefitError {
  if (error instanceof RefitError) return error;
  if (WRAPPERS.some((wrapper) => error instanceof wrapper)) return asRefitError((error as Error).cause);
  if (error instanceof ApplicationFailure && error.type && Object.hasOwn(ERRORS, error.type)) {
    const details = (error.details?.[0] as { details?: Record<string, unknown> } | undefined)?.details ?? {};
    return new RefitError(error.type as ErrorCode, error.message, details, { cause: error });
  }
  if (error instanceof CancelledFailure) return because('REFIT_CANCELLED', 'The run was cancelled.', error);
  if (error instanceof TerminatedFailure) return because('REFIT_CANCELLED', 'The run was terminated.', error);
  return ofTheServer(error) ?? because('REFIT_INTERNAL', firstLine(error), error);
}

function ofTheServer(error: unknown): RefitError | undefined {
  if (error instanceof WorkflowNotFoundError) {
    return because('REFIT_RUN_UNKNOWN', `There is no run "${error.workflowId}".`, error);
  }
  if (error instanceof NamespaceNotFoundError) {
    return because('REFIT_TEMPORAL_UNREACHABLE', `Temporal has no namespace "${error.namespace}".`, error);
  }
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    return because('REFIT_WORKER_MISSING', 'No worker took the decision in time.', error);
  }
  const trouble = UNREACHABLE.get(statusOf(error) ?? -1);
  return trouble === undefined
    ? undefined
    : because('REFIT_TEMPORAL_UNREACHABLE', `The Temporal server ${trouble}.`, error);
}

/** gRPC status of a failed call; undefined where it is none. */
function statusOf(error: unknown): number | undefined {
  const call = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(call) ? call.code : undefined;
}

function because(code: ErrorCode, message: string, cause: unknown): RefitError {
  return new RefitError(code, message, {}, { cause });
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] ?? message;
}
