import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { KEPT_ROWS } from '../../core/features/keep-rows.ts';
import { TILE_VALUES } from '../../core/features/tile.ts';

const textOf = (page: string) => readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
const commandsOf = (page: string) =>
  [...textOf(page).matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => block.trim().split('\n'));

test('the commands of the page are those of the CLI page, which are run', () => {
  const commands = commandsOf('online.md');
  expect(commands.length).toBeGreaterThan(4);
  expect(commandsOf('cli.md')).toEqual(expect.arrayContaining(commands));
});

test('the bounds on the page are those of the code', () => {
  const number = (value: number) => value.toLocaleString('en-US');
  expect(textOf('online.md')).toContain(`| ${number(KEPT_ROWS)}, and ${number(KEPT_ROWS)} to come`);
  expect(textOf('online.md')).toMatch(new RegExp(`in a tile *\\| ${number(TILE_VALUES)} `));
});
