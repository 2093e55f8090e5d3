import { describe, expect, it } from 'vitest';
import { expressionColumns } from '../../core/dataset/expression.ts';
import { database } from './dataset.fixture.ts';

const COLUMNS = ['a', 'b', 'c', 'dep_delay', 'list', 'json', 'At', 'order'];
const columns = (sql: string) =>
  database('/tmp', (db) => expressionColumns(db, sql, 'sources.flights.derive.x', COLUMNS));

describe('an expression', () => {
  it.each([
    ['a + B * 2', ['a', 'b']],
    ["concat_ws('-', a, strftime(b, '%Y'))", ['a', 'b']],
    ['CASE WHEN a IS NULL THEN b ELSE greatest(b, c) END', ['a', 'b', 'c']],
    ['a BETWEEN b AND c', ['a', 'b', 'c']],
    ['a - INTERVAL 30 DAY + to_minutes(dep_delay)', ['a', 'dep_delay']],
    ['CAST(a AS DOUBLE) IN (1, b)', ['a', 'b']],
    ['list_transform(list, lambda item: item + c)', ['list', 'c']],
    ['[item + c FOR item IN list IF item > b]', ['list', 'c', 'b']],
    ["json ->> '$.a'", ['json']],
    ['a.b.c', ['a']],
    ['a -- the last word', ['a']],
    ["a AT TIME ZONE 'UTC'", ['a']],
    ['"at" + a', ['At', 'a']],
    ['1', []],
  ])('%s uses its columns', async (sql, used) => {
    expect((await columns(sql)).sort()).toEqual([...used].sort());
  });

  it.each([
    ['(SELECT max(a) FROM t)', /query of its own/],
    ['EXISTS (SELECT 1)', /query of its own/],
    ['a, b', /single expression/],
    ['a) FROM (SELECT 1', /single expression/],
    ['a; DROP TABLE x', /does not parse/],
    ['', /does not parse/],
    ['at', /does not parse: .*; the column At has the name of a word of SQL, write it as "At"\.$/],
    ['a + order', /the column order has the name of a word of SQL/],
    ['a + "order" +', /does not parse: [^;]*$/],
    ['*', /\*/],
    ['$1', /parameters/],
    ["read_parquet('x.parquet')", /read_parquet\(\), which reads more than the row/],
    ["getenv('HOME')", /no function getenv\(\)/],
    ["current_setting('TimeZone')", /reads more than the row/],
    ['ago(INTERVAL 1 DAY)', /reads more than the row/],
    ['now()', /gives another value each time/],
    ['current_date', /gives another value each time/],
    ['random() + a', /gives another value each time/],
    ['age(a)', /gives another value each time/],
    ['list_transform(list, lambda item: item + random())', /gives another value each time/],
    ['sum(a)', /aggregate/],
    ['lag(a) OVER (ORDER BY b)', /other rows/],
    ['unnest(list)', /unnest/],
    ['dep_dlay', /sources\.flights\.derive\.x .* no column "dep_dlay" \(did you mean "dep_delay"\?\)/],
    ['other.a', /no column "other\.a"/],
    ['strftim(a)', /no function strftim\(\) \(did you mean "strftime"\?\)/],
    ['item + 1 + len(list_transform(list, lambda item: item))', /no column "item"/],
  ])('%s is refused in words', async (sql, words) => {
    await expect(columns(sql)).rejects.toMatchObject({
      code: 'REFIT_EXPRESSION_INVALID',
      message: expect.stringMatching(words),
      details: { source: 'flights', where: 'sources.flights.derive.x' },
    });
  });
});
