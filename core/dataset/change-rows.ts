import type { ChangesSpec } from '../spec/pipeline.ts';
import type { Contract, ContractRule } from './contract.ts';
import { identifier } from './duckdb.ts';

/** Change data: rows that say what was inserted, updated or deleted, as a database's log tells it. */

const OPS = '(i|insert|c|create|r|read|u|update|upsert|d|delete)';

/** SQL: the row deletes its entity. Without an `op` column, all rows are inserts or updates. */
export function deletesSql({ op }: ChangesSpec): string {
  return op === undefined ? 'false' : `coalesce(regexp_full_match(lower(trim(${identifier(op)})), 'd|delete'), false)`;
}

/** The contract as change rows have to keep it: `op` says one of three things, and a delete need not repeat the row. */
export function contractOfChanges(contract: Contract, changes: ChangesSpec): Contract {
  const own = [...changes.key, ...[changes.op, changes.version, changes.time].flatMap((name) => name ?? [])];
  const rules = contract.rules.map((rule): ContractRule => {
    if (rule.columns.every((name) => own.includes(name))) return rule;
    return { ...rule, brokenSql: `NOT ${deletesSql(changes)} AND (${rule.brokenSql})` };
  });
  if (changes.op !== undefined) rules.push(opRule(changes.op));
  return { ...contract, rules };
}

function opRule(op: string): ContractRule {
  return {
    rule: `${op}: insert, update or delete`,
    column: op,
    columns: [op],
    brokenSql: `NOT coalesce(regexp_full_match(lower(trim(${identifier(op)})), '${OPS}'), false)`,
    schema: {},
  };
}
