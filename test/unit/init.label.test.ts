import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { choose } from '../../core/pipeline/draft/label.ts';
import { chance, csvOf, day, draftCsv, draftSql, loaded, trainingSetOf } from './init.fixture.ts';

const equal = (a: string, b: string) =>
  new Map([
    [a, 5],
    [b, 5],
  ]);

describe('which of two values is the outcome', () => {
  test.each([
    ['yes', 'no', 'yes'],
    ['0', '1', '1'],
    ['stayed', 'churned', 'churned'],
    ['good', 'bad', 'bad'],
    ['active', 'zombie', 'zombie'],
    ['not fraud', 'fraud', 'fraud'],
    ['inactive', 'active', 'inactive'],
    ['-1', '1', '1'],
    ['sold', 'unsold', 'sold'],
  ])('%s or %s: %s', (a, b, outcome) => {
    // In whatever order they come, and however frequent they are.
    expect(
      choose(
        [a, b],
        new Map([
          [a, 90],
          [b, 10],
        ]),
        ['label'],
      ).name,
    ).toBe(outcome);
    expect(
      choose(
        [b, a],
        new Map([
          [a, 10],
          [b, 90],
        ]),
        ['label'],
      ).name,
    ).toBe(outcome);
  });

  test('the value that the label is called after', () => {
    expect(choose(['premium', 'upgraded'], equal('premium', 'upgraded'), ['upgrade']).name).toBe('upgraded');
  });

  test('else the rarer one', () => {
    expect(
      choose(
        ['tulip', 'rose'],
        new Map([
          ['tulip', 3],
          ['rose', 97],
        ]),
        ['flower'],
      ),
    ).toMatchObject({ name: 'tulip', because: 'it is the rarer one' });
  });

  test('the order of the values never matters', () => {
    const value = fc.string({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(value, value, fc.nat(99), fc.nat(99), value, (a, b, m, n, topic) => {
        fc.pre(a !== b);
        const rows = new Map([
          [a, m],
          [b, n],
        ]);
        const one = choose([a, b], rows, [topic]);
        expect([a, b]).toContain(one.name);
        expect(choose([b, a], rows, [topic]).name).toBe(one.name);
      }),
    );
  });
});

describe('the label', () => {
  const table = (value: (index: number) => string) => csvOf('t,x,y', 300, (i) => `${day(i)},${chance(i)},${value(i)}`);

  test.each<[what: string, value: (index: number) => string, sql: string]>([
    ['Yes and No', (i) => (chance(i) < 0.3 ? 'Yes' : 'No'), "y = 'Yes'"],
    ['1 and 0', (i) => (chance(i) < 0.3 ? '1' : '0'), 'y = 1'],
    ['1.0 and 0.0', (i) => (chance(i) < 0.3 ? '1.0' : '0.0'), 'y = 1'],
    ['True and False', (i) => (chance(i) < 0.3 ? 'True' : 'False'), 'y'],
    [
      'many spellings',
      (i) => (chance(i) < 0.3 ? ['yes', 'YES', 'Yes '][i % 3] : ['no', 'No'][i % 2]) ?? '',
      "CASE WHEN lower(trim(y)) IN ('no', 'yes') THEN lower(trim(y)) = 'yes' END",
    ],
  ])('%s', async (_, value, sql) => {
    const drafted = await draftCsv(table(value));
    expect(drafted.draft.label.sql).toBe(sql);
    const { set } = await trainingSetOf(drafted);
    const positives = Array.from({ length: 300 }, (_unused, i) => chance(i) < 0.3).filter(Boolean).length;
    expect(set.positives.train + set.positives.validate + set.positives.test).toBe(positives);
  });

  test('NA and empty are no answer, not a no', async () => {
    const drafted = await draftCsv(
      table((i) => (i % 10 === 0 ? 'NA' : i % 11 === 0 ? '' : chance(i) < 0.3 ? 'yes' : 'no')),
    );
    const { set } = await trainingSetOf(drafted);
    const labelled = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 10 !== 0 && i % 11 !== 0).length;
    expect(set.rows.train + set.rows.validate + set.rows.test).toBe(labelled);
  });

  test('a value that never came breaks the contract, instead of counting as a no', async () => {
    const { draft } = await draftCsv(table((i) => (chance(i) < 0.3 ? 'Yes' : 'No')));
    expect((draft.contract.properties as Record<string, { enum?: unknown[] }>).y?.enum?.toSorted()).toEqual([
      'No',
      'Yes',
      null,
    ]);
  });

  test('booleans of Parquet, by a name that SQL reserves', async () => {
    const drafted = await draftSql(
      `SELECT DATE '2024-01-01' + i::INT AS t, random() AS x, (i * 7) % 10 < 3 AS "order" FROM range(300) r(i)`,
      { label: 'order' },
    );
    expect((await loaded(drafted)).spine.label).toBe('"order"');
  });

  test('a condition makes a label of numbers, and its columns are no features', async () => {
    const { draft } = await draftCsv(
      csvOf('t,amount,x', 300, (i) => `${day(i)},${chance(i) * 200},${chance(i * 5)}`),
      { label: 'amount > 100' },
    );
    expect(draft.label.sql).toBe('amount > 100');
    expect(draft.features.map(({ name }) => name)).toEqual(['x']);
  });

  test.each<[what: string, value: (index: number) => string, code: string, message: RegExp]>([
    [
      'three values',
      (i) => 'abc'[i % 3] ?? '',
      'REFIT_USAGE',
      /3 different values \("a", "b" and "c"\).*--label "y = 'a'"/,
    ],
    ['many numbers', (i) => String(i), 'REFIT_USAGE', /many different values.*--label "y > \d+"/],
    ['one value', () => '1', 'REFIT_LABEL_ONE_CLASS', /"1" in every row/],
    ['nothing', () => '', 'REFIT_LABEL_ONE_CLASS', /empty/],
  ])('%s: refused with what to do', async (_, value, code, message) => {
    await expect(draftCsv(table(value))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test('a condition that is no condition, or cannot be used', async () => {
    const text = table((i) => String(i % 2));
    await expect(draftCsv(text, { label: 'x + 1' })).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/must be true or false/) as string,
    });
    await expect(draftCsv(text, { label: 'random() > x' })).rejects.toMatchObject({ code: 'REFIT_USAGE' });
    await expect(draftCsv(text, { label: 'z > 1' })).rejects.toMatchObject({
      code: 'REFIT_USAGE',
      message: expect.stringMatching(/no column "z"/) as string,
    });
  });
});
