import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyMonth, type Project, refit } from '../support/project.ts';
import { blocksOf, createServicesProject } from '../support/services.ts';

let project: Project;
beforeAll(async () => {
  project = await createServicesProject();
  for (const month of [7, 8]) await copyMonth(project.root, month);
  const file = project.path('pipelines/flight-delays/pipeline.ts');
  const shipped = await readFile(file, 'utf8');
  await writeFile(file, shipped.replace(/\n {2}split: /, "\n  schedule: { cron: '0 5 * * 1' },\n  split: "));
});
afterAll(() => project.remove());

/** The commands of a page, as a shell would split them. */
async function commandsOf(page: string): Promise<string[][]> {
  const blocks = (await blocksOf(page)).filter(({ language }) => language === 'sh');
  const lines = blocks.flatMap(({ text }) => text.trim().split('\n'));
  return lines.map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? ''));
}

test.each([
  ['docs/concepts.md', 5],
  ['docs/schedules.md', 7],
])('every command of %s does what it says there', async (page, least) => {
  const commands = await commandsOf(page);
  expect(commands.length).toBeGreaterThanOrEqual(least);
  for (const [npx, no, program, ...args] of commands) {
    expect([npx, no, program]).toEqual(['npx', '--no', 'refit']);
    const { code, stdout, stderr } = await refit(project, args);
    expect(code, `refit ${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
    expect(`${stdout}${stderr}`.trim(), args.join(' ')).not.toBe('');
  }
});
