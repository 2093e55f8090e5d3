/** What each column of a table holds, and how the contract and SQL can say so. It does not decide what to do with a column. */
import { convert, isTime, type RawColumn } from '../../dataset/column-types.ts';
import type { ContractType } from '../../dataset/contract.ts';
import { type DuckDb, identifier } from '../../dataset/duckdb.ts';
import type { ColumnSql } from './names.ts';
import type { OpenTable } from './open-table.ts';
import { readTexts, type TextReading } from './text-values.ts';

export interface ColumnProfile {
  name: string;
  /** Counted from 1, in the file's order. */
  place: number;
  fileType: string;
  holds: TextReading['holds'] | 'nested' | 'other';
  /** Type by the contract; undefined: the column stays out of the contract, because a value of it would break any. */
  contract: ContractType | undefined;
  /** SQL of the value over the columns as the contract types them. */
  sql: string;
  /** Rows of the whole table without a value. */
  nulls: number;
  /** Different values among the sampled rows, and how many of those have a value. */
  distinct: number;
  filled: number;
  spaces: number;
  length: number;
  unsure?: string;
}

const INTEGER = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;
const TEXT = /^(VARCHAR|UUID|ENUM\()/;

/** Profiles of all columns, in the file's order. */
export async function profileColumns(table: OpenTable, sql: ColumnSql): Promise<ColumnProfile[]> {
  const { db, columns, format } = table;
  const texts = await readTexts(
    db,
    'sample',
    columns.filter(({ type }) => type === 'VARCHAR'),
    format === 'csv',
  );
  const drafts = columns.map((column, i) => draft(column, i + 1, texts.get(column.name), sql));
  return countAll(db, drafts, format === 'csv');
}

type Draft = Omit<ColumnProfile, 'nulls' | 'distinct' | 'filled'> & { lenient?: string };

function draft(column: RawColumn, place: number, text: TextReading | undefined, sql: ColumnSql): Draft {
  const { name, type } = column;
  const own = sql(name);
  const base = { name, place, fileType: type, sql: own, spaces: 0, length: 0 };
  if (text) {
    const { read, ...reading } = text;
    const typed = reading.contract !== 'string' || read === undefined;
    return { ...base, ...reading, sql: typed ? own : read(own), ...(typed && read ? { lenient: read(own) } : {}) };
  }
  if (type === 'BOOLEAN') return { ...base, holds: 'boolean', contract: 'boolean' };
  if (INTEGER.test(type)) return { ...base, holds: 'integer', contract: 'integer' };
  if (/^(FLOAT|DOUBLE|DECIMAL\()/.test(type)) return { ...base, holds: 'number', contract: 'number' };
  if (type === 'DATE') return { ...base, holds: 'date', contract: 'date' };
  if (isTime(type)) return { ...base, holds: 'date-time', contract: 'date-time' };
  if (TEXT.test(type)) return { ...base, holds: 'text', contract: 'string', length: type === 'UUID' ? 36 : 0 };
  return { ...base, holds: /[[(]/.test(type) ? 'nested' : 'other', contract: undefined };
}

/** One look at all rows: which have no value, and whether every value keeps the contract. */
async function countAll(db: DuckDb, drafts: Draft[], text: boolean): Promise<ColumnProfile[]> {
  const profiles: ColumnProfile[] = [];
  for (let from = 0; from < drafts.length; from += BATCH) {
    const batch = drafts.slice(from, from + BATCH);
    const broken = batch.map((one) => brokenSql(one, text));
    const [all = {}] = await db.rows(
      `SELECT ${batch
        .flatMap(({ name }, i) => [
          `count(*) FILTER (WHERE ${identifier(name)} IS NULL)::DOUBLE AS nulls_${i}`,
          `count(*) FILTER (WHERE ${broken[i]})::DOUBLE AS broken_${i}`,
        ])
        .join(', ')} FROM raw`,
    );
    const [some = {}] = await db.rows(
      `SELECT ${batch
        .flatMap(({ name, holds }, i) => [
          `count(${identifier(name)})::DOUBLE AS filled_${i}`,
          `${holds === 'nested' ? '0' : `count(DISTINCT ${identifier(name)})`}::DOUBLE AS distinct_${i}`,
        ])
        .join(', ')} FROM sample`,
    );
    for (const [i, { lenient, ...one }] of batch.entries()) {
      const counts = {
        nulls: Number(all[`nulls_${i}`]),
        filled: Number(some[`filled_${i}`]),
        distinct: Number(some[`distinct_${i}`]),
      };
      profiles.push({ ...(Number(all[`broken_${i}`]) > 0 ? relaxed(one, lenient) : one), ...counts });
    }
  }
  return profiles;
}

const BATCH = 60;

function brokenSql({ name, fileType, contract }: Draft, text: boolean): string {
  if (contract === undefined) return 'false';
  return convert({ name, type: fileType }, contract, 'UTC', text)?.brokenSql ?? 'false';
}

/**
 * A column with values its contract would refuse: text is read by an expression, in which those are missing; whole numbers
 * too large for the contract and floats that are not finite go on without one.
 */
function relaxed(draft: Omit<Draft, 'lenient'>, lenient: string | undefined): Omit<Draft, 'lenient'> {
  if (lenient !== undefined) return { ...draft, contract: 'string', sql: lenient };
  if (draft.holds === 'boolean') return { ...draft, contract: 'string', sql: `try_cast(${draft.sql} AS BOOLEAN)` };
  if (draft.holds === 'date' || draft.holds === 'date-time') {
    const type = draft.holds === 'date' ? 'DATE' : 'TIMESTAMP';
    return { ...draft, contract: 'string', sql: `try_cast(${draft.sql} AS ${type})` };
  }
  return { ...draft, contract: undefined };
}
