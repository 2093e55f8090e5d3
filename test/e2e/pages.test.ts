import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { placesOf } from '../../core/compose/refit.ts';
import { withDuckDb } from '../../core/dataset/duckdb.ts';
import { copyMonth, type Project, refit } from '../support/project.ts';
import { blocksOf, createServicesProject } from '../support/services.ts';

let project: Project;
let stack: Stack;
beforeAll(async () => {
  project = await createServicesProject();
  for (const month of [7, 8]) await copyMonth(project.root, month);
  const file = project.path('pipelines/flight-delays/pipeline.ts');
  const shipped = await readFile(file, 'utf8');
  await writeFile(
    file,
    shipped.replace(
      /\n {2}split: /,
      "\n  schedule: { cron: '0 5 * * 1' },\n  materialize: { cron: '0 6 * * 1' },\n  split: ",
    ),
  );
  // Somebody's own table, for the page that joins features to one.
  const october = project.path('data/nycflights13/flights/2013-10.parquet');
  const asked = `SELECT origin, dest, carrier, tailnum, time_hour::TIMESTAMP AS predict_at FROM '${october}' LIMIT 100`;
  await withDuckDb({ scratch: project.root }, (db) =>
    db.run(`COPY (${asked}) TO '${project.path('asked.parquet')}' (FORMAT parquet)`),
  );
  await writeFile(
    project.path('asked.csv'),
    'origin,dest,carrier,tailnum,predict_at\nJFK,LAX,AA,N328AA,2013-08-02T12:00:00Z\nEWR,XXX,,,2013-08-20 18:30:00\n',
  );
  // One server for all commands, as with a running `refit dev`.
  stack = await openStack(placesOf(project.root, {}));
});
afterAll(async () => {
  await stack?.close();
  await project?.remove();
});

/** The commands of a page, as a shell would split them. */
async function commandsOf(page: string): Promise<string[][]> {
  const blocks = (await blocksOf(page)).filter(({ language }) => language === 'sh');
  const lines = blocks.flatMap(({ text }) => text.trim().split('\n'));
  return lines.map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? ''));
}

test.each([
  ['docs/concepts.md', 5],
  ['docs/schedules.md', 8],
  ['docs/data-engineers.md', 7],
  ['docs/features.md', 5],
])('every command of %s does what it says there', async (page, least) => {
  const commands = await commandsOf(page);
  expect(commands.length).toBeGreaterThanOrEqual(least);
  for (const words of commands) {
    const settings = words.filter((word, i) => i < words.indexOf('npx') && word.includes('='));
    const [npx, no, program, ...args] = words.slice(settings.length);
    expect([npx, no, program]).toEqual(['npx', '--no', 'refit']);
    const env = Object.fromEntries(settings.map((setting) => setting.split('=')));
    const { code, stdout, stderr } = await refit(project, args, env);
    expect(code, `refit ${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
    expect(`${stdout}${stderr}`.trim(), args.join(' ')).not.toBe('');
  }
});
