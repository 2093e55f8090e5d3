/** From an error to the HTTP status and the words that the caller sees. */
import { type ErrorCode, RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  REFIT_REQUEST_INVALID: 400,
  REFIT_AS_OF_INVALID: 400,
  REFIT_MODEL_UNKNOWN: 404,
  REFIT_ENTITY_UNKNOWN: 404,
  REFIT_OVERLOADED: 503,
  REFIT_ONLINE_UNREACHABLE: 503,
  REFIT_ONLINE_REFUSED: 503,
  REFIT_ONLINE_STALE: 503,
  // The model's files are at fault, not the request; they may be mended while we run.
  REFIT_STORE_CORRUPT: 503,
  REFIT_STORE_UNREACHABLE: 503,
  REFIT_STORE_DENIED: 503,
  REFIT_STORE_MISSING: 503,
  REFIT_REGISTRY_DAMAGED: 503,
};

/** An error of the catalogue with the status it is answered with. */
export interface HttpError {
  status: number;
  error: RefitError;
}

/** What Fastify throws: its own errors have a status, those of a schema say what is wrong where. */
interface FastifyLike {
  statusCode?: number;
  validation?: Violation[];
  validationContext?: string;
}

/** One violation, as ajv reports it. */
export interface Violation {
  keyword: string;
  instancePath: string;
  message?: string | undefined;
  params: Record<string, unknown>;
}

/** Anything thrown while a request was answered. What is no error of the request is REFIT_INTERNAL, status 500. */
export function httpError(thrown: unknown): HttpError {
  if (thrown instanceof RefitError) {
    const status = Number(thrown.details.status ?? STATUS[thrown.code] ?? 500);
    return { status, error: thrown };
  }
  const { statusCode = 500, validation, validationContext = 'body' } = thrown as FastifyLike;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (validation?.[0]) {
    const error = new RefitError('REFIT_REQUEST_INVALID', violationSentence(`the ${validationContext}`, validation[0]));
    return { status: 400, error };
  }
  if (statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, error: new RefitError('REFIT_REQUEST_INVALID', `${message.replace(/\.$/, '')}.`) };
  }
  return { status: 500, error: new RefitError('REFIT_INTERNAL', message, {}, { cause: thrown }) };
}

/** The body of an error, as the CLI prints it and as every route outside /v2 answers. */
export function errorBody({ code, message, cure, details }: RefitError) {
  const { status: _, ...rest } = details;
  return { error: { code, message, cure, details: rest } };
}

/**
 * A violated schema as a sentence: `At instances[0]: unknown field "distnace" (did you mean "distance"?).`
 * `known`: the fields there are, for the suggestion.
 */
export function violationSentence(where: string, violation: Violation, known: string[] = []): string {
  const { keyword, instancePath, params, message = 'is not valid' } = violation;
  const place = instancePath
    .split('/')
    .slice(1)
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : `${path}${path ? '.' : ''}${part}`), '');
  const at = place === '' ? where : place.startsWith('[') ? `${where}${place}` : `${where}, ${place}`;
  if (keyword === 'additionalProperties') {
    const name = shown(String(params.additionalProperty));
    return `Unknown field "${name}" in ${at}${nearest(name, known)}.`;
  }
  if (keyword === 'required') return `The field "${String(params.missingProperty)}" is missing in ${at}.`;
  if (keyword === 'type') return `In ${at}: must be ${String(params.type).replaceAll(',', ' or ')}.`;
  if (keyword === 'enum') return `In ${at}: ${message}: ${(params.allowedValues as unknown[]).join(', ')}.`;
  return `In ${at}: ${message}.`;
}

/** A name that somebody sent, short enough to be answered, and to be compared with others. */
export function shown(name: string, most = 100): string {
  return name.length > most ? `${name.slice(0, most)}…` : name;
}
