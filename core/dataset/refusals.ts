import type { Partition, RuleResult } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { shift } from '../spec/time.ts';
import { ACROSS, type Judgement } from './judge-snapshot.ts';

/** Why a source may not be used as of a date, although it could be read. */

/** What of a source's declaration is judged when its partitions are there. */
export interface JudgedSource {
  source: string;
  asOf: string;
  /** In the order of their names. */
  partitions: Partition[];
  maxBadShare: number;
  freshness?: string;
}

/**
 * The complaints about a source, the first being the one that a run fails with.
 * They are REFIT_CONTRACT_BAD_ROWS, REFIT_WINDOW_EMPTY (nothing known yet), REFIT_DATA_STALE, REFIT_CONTRACT_TABLE.
 */
export function complaints(input: JudgedSource, found: Judgement): RefitError[] {
  return [badRows(input, found), empty(input, found), stale(input, found), brokenTable(input, found)].flatMap(
    (one) => one ?? [],
  );
}

function badRows({ source, asOf, maxBadShare, partitions }: JudgedSource, found: Judgement): RefitError | undefined {
  const repeated = found.rules.filter(({ rule }) => rule.startsWith(ACROSS)).reduce((sum, { count }) => sum + count, 0);
  const bad = found.rejected + repeated;
  const all = found.rows + found.rejected;
  const share = all === 0 ? 0 : bad / all;
  if (share <= maxBadShare) return undefined;
  const most = found.rules.slice(0, 3).map(({ rule, count }) => `${rule} (${count})`);
  const message = `Source "${source}": ${bad} of ${all} rows (${percent(share)}) break the contract, more than the ${percent(maxBadShare)} allowed; most often ${most.join(', ')}.`;
  const worst = partitions.filter(({ quarantine }) => quarantine).sort((a, b) => b.badRows - a.badRows);
  return new RefitError('REFIT_CONTRACT_BAD_ROWS', message, {
    ...{ source, asOf, bad, rows: all, share, maxBadShare, rules: found.rules },
    samples: samplesOf(found.checks.rules),
    /** Where the rejected rows lie, the worst files first. */
    quarantine: worst.slice(0, 20).map(({ name, quarantine }) => ({ name, uri: quarantine?.uri })),
  });
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/**
 * A run as of a date before all data of a source. `startsAt`: when anything of it was first known, or happened (ISO UTC); null
 * where nothing tells.
 */
export function nothingKnown(source: string, asOf: string, startsAt: string | null): RefitError {
  const start = startsAt === null ? '' : `: it starts at ${startsAt}`;
  const message = `Source "${source}" has no data as of ${asOf}${start}.`;
  return new RefitError('REFIT_WINDOW_EMPTY', message, { source, asOf, startsAt });
}

/**
 * There is data, but nothing of it was known yet; or what was known had not happened yet, where freshness asks for events and
 * would call data old that is too new.
 */
function empty({ source, asOf, partitions, freshness }: JudgedSource, found: Judgement): RefitError | undefined {
  const first = (times: (string | undefined)[]) => times.flatMap((time) => time ?? []).sort()[0];
  const data = partitions.some(({ rows }) => rows > 0);
  if (data && found.rows + found.rejected === 0) {
    return nothingKnown(source, asOf, first(partitions.map(({ knownFrom }) => knownFrom)) ?? null);
  }
  const oldest = first(partitions.map(({ eventRange }) => eventRange?.oldest));
  if (freshness && found.newestEvent === null && oldest !== undefined && Date.parse(oldest) > Date.parse(asOf)) {
    return nothingKnown(source, asOf, oldest);
  }
  return undefined;
}

function stale({ source, asOf, freshness }: JudgedSource, { newestEvent }: Judgement): RefitError | undefined {
  if (freshness === undefined) return undefined;
  const oldest = shift(new Date(asOf), freshness, -1);
  if (newestEvent !== null && Date.parse(newestEvent) >= oldest.getTime()) return undefined;
  const newest = newestEvent === null ? 'no event known' : `its newest event known at ${newestEvent}`;
  const message = `Source "${source}" as of ${asOf} has ${newest}, older than its freshness of ${freshness} allows.`;
  return new RefitError('REFIT_DATA_STALE', message, { source, asOf, freshness, newestEvent });
}

function brokenTable({ source, asOf }: JudgedSource, { checks }: Judgement): RefitError | undefined {
  const broken = checks.rules.filter(
    ({ kind, severity, passed }) => kind === 'table' && severity === 'fail' && !passed,
  );
  if (broken.length === 0) return undefined;
  const message = `Source "${source}" as of ${asOf} breaks its contract: ${broken.slice(0, 3).map(describeRule).join('; ')}.`;
  return new RefitError('REFIT_CONTRACT_TABLE', message, { source, asOf, rules: broken });
}

/** `dest: x-references airports.faa (7602 rows, 2.26 %)` */
export function describeRule({ rule, count, value }: RuleResult): string {
  const found = [
    ...(count > 0 ? [`${count} rows`] : []),
    ...(typeof value === 'number' && / x-(references|max-null)/.test(rule) ? [percent(value)] : []),
    ...(value !== undefined && value !== null && count === 0 ? [`it is ${value}`] : []),
    ...(value === null ? ['there is nothing to judge'] : []),
  ];
  return found.length === 0 ? rule : `${rule} (${found.join(', ')})`;
}

/** Samples of the rules that were broken most. */
function samplesOf(rules: RuleResult[]): { rule: string; samples: RuleResult['samples'] }[] {
  const broken = rules.filter(({ samples }) => samples.length > 0).sort((a, b) => b.count - a.count);
  return broken.slice(0, 5).map(({ rule, samples }) => ({ rule, samples }));
}
