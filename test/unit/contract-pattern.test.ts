import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileContract } from '../../core/dataset/contract.ts';
import { toRe2 } from '../../core/dataset/contract-pattern.ts';
import { literal } from '../../core/dataset/duckdb.ts';
import { database } from './dataset.fixture.ts';

/** Patterns that ECMAScript and RE2 read differently, or spell differently. */
const PATTERNS = [
  '^.$',
  '^\\s$',
  '^[\\s]$',
  '^\\S$',
  '^[^\\s]$',
  '^\\d+$',
  '^\\w$',
  '\\bx\\b',
  '[\\b]',
  '^[[:a]$',
  '[.]',
  '^[^a-z]$',
  '^\\u00e9$',
  '^\\u{1F986}$',
  '^\\ud83e\\udd86$',
  '^\\x41$',
  '^\\cJ$',
  '^\\0$',
  '^\\p{Lu}$',
  '^\\P{L}$',
  '^\\p{Script=Greek}$',
  '^(?<year>[0-9]{4})$',
  '^(?:a|b){2,3}$',
  '^a{2}$',
  '\\/',
  '^[\\-a]$',
  '^\\.$',
  '^[A-Z0-9]{2}$',
  '',
  '^$',
  '[^]',
  'a$',
  'Ab',
  '_',
  '^a|b$',
  'a|^b$',
  '^a\\$',
  '^\\\\$',
  '^a',
  '(?:b|A)',
];
const CHARACTERS = [...'aAbxzZé09_-./[]:Ω🦆 \t\n\r\0\b\u00a0\u2028\ufeff\u3000'];

describe('ECMAScript patterns in SQL', () => {
  it('match what JSON Schema says they match', async () => {
    const text = fc
      .array(fc.constantFrom(...CHARACTERS, '2013', 'AA', 'ab', 'x y'), { maxLength: 4 })
      .map((parts) => parts.join(''));
    const samples = [...new Set([...fc.sample(text, { numRuns: 150, seed: 7 }), ...CHARACTERS])].filter(
      (sample) => !sample.includes('\0'),
    );
    const differ = await database('/tmp', async (db) => {
      const found: string[] = [];
      for (const pattern of PATTERNS) {
        const [rule] = compileContract({ properties: { x: { type: 'string', pattern } } }).rules;
        const cells = samples.map((sample) => `(${literal(sample)})`).join(', ');
        const rows = await db.rows<{ hit: boolean }>(
          `SELECT NOT ${rule?.brokenSql} AS hit FROM (VALUES ${cells}) t(x)`,
        );
        const expected = new RegExp(pattern, 'u');
        for (const [i, sample] of samples.entries()) {
          if (rows[i]?.hit !== expected.test(sample))
            found.push(`${pattern} on ${JSON.stringify(sample)}: ${rows[i]?.hit}`);
        }
      }
      return found;
    });
    expect(differ).toEqual([]);
  });

  it.each([
    ['(?=a)', /look-around/],
    ['(?<!a)b', /look-around/],
    ['(a)\\1', /back-reference/],
    ['(?<n>a)\\k<n>', /back-reference/],
    ['a{1001}', /more than 1000 repetitions/],
    ['[\\S]', /\\S inside/],
    ['\\p{Emoji}', /Unicode property/],
    ['(', /./],
  ])('refuse %s in words', (pattern, words) => {
    expect(() => toRe2(pattern)).toThrow(words);
  });
});
