import { readFile, writeFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { placesOf } from '../../core/compose/refit.ts';
import { Explored } from '../../core/spec/exploration.ts';
import { openBrowser } from '../support/chromium.ts';
import { copyMonth, createProject, errorOf, type Project, refit } from '../support/project.ts';
import { blocksOf } from '../support/services.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

let project: Project;
let stack: Stack;
beforeAll(async () => {
  project = await createProject({ months: 0 });
  for (const month of [7, 8, 9]) await copyMonth(project.root, month);
  const file = project.path('pipelines/flight-delays/pipeline.ts');
  const small = (await readFile(file, 'utf8'))
    .replace(/split: \{.*\},\n/, "split: { test: '2w', validate: '2w', train: { min: '1mo', max: '2mo' } },\n")
    .replace('rounds: 300', 'rounds: 20')
    .replace('trials: 4', 'trials: 0')
    .replace(/gates: \[[\s\S]*?\n {2}\],/, "gates: [atLeast('auc', 0.5), parity(1e-5)],");
  await writeFile(file, small);
  await addTinyPipeline(project, 'returns');
  // One server for all commands, as with a running `refit dev`.
  stack = await openStack(placesOf(project.root, {}));
});
afterAll(async () => {
  await stack?.close();
  await project?.remove();
});

async function explored(args: string[]): Promise<Explored> {
  const { code, stdout, stderr } = await refit(project, ['explore', ...args, '--json']);
  expect(code, stdout + stderr).toBe(0);
  const value = JSON.parse(stdout) as Explored;
  const check = new Ajv2020({ strict: false }).compile(Explored);
  expect(check(value), JSON.stringify(check.errors)).toBe(true);
  return value;
}

test('the commands of the pages about lineage and exploring do what they say there', async () => {
  const ran = await refit(project, ['run', 'flight-delays', '--as-of', '2013-10-01']);
  expect(ran.code, ran.stderr).toBe(0);
  let commands = 0;
  for (const page of ['docs/lineage.md', 'docs/explore.md']) {
    const blocks = (await blocksOf(page)).filter(({ language }) => language === 'sh');
    for (const line of blocks.flatMap(({ text }) => text.trim().split('\n'))) {
      const [program, ...args] = (line.split(' | ')[0] ?? '').split(' ');
      expect(program).toBe('refit');
      const { code, stdout, stderr } = await refit(project, args);
      expect(code, `${line}\n${stdout}${stderr}`).toBe(0);
      expect(stdout.trim(), line).not.toBe('');
      commands += 1;
    }
  }
  expect(commands).toBeGreaterThanOrEqual(6);
});

describe('a page about the data', () => {
  test('is written into the store, found again, and asks the network for nothing', async () => {
    const first = await explored(['returns', '--as-of', '2020-12-20']);
    expect(first).toMatchObject({ pipeline: 'returns', asOf: '2020-12-20T00:00:00Z', cached: false, suspects: [] });
    expect(first.features.map(({ name }) => name)).toEqual(['amount', 'items', 'country']);
    expect((await explored(['returns', '--as-of', '2020-12-20'])).cached).toBe(true);
    const browser = await openBrowser();
    try {
      const page = await browser.newPage({ colorScheme: 'dark' });
      const asked: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      page.on('console', (message) => complaints.push(message.text()));
      await page.goto(`file://${first.page}`);
      expect(asked).toEqual([`file://${first.page}`]);
      expect(complaints).toEqual([]);
      expect(await page.locator('figure.feature').count()).toBe(3);
      expect(await page.locator('h1').textContent()).toBe('Will this order be sent back?');
      const wide = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
      expect(wide).toBeLessThanOrEqual(0);
    } finally {
      await browser.close();
    }
  });

  test('tells a planted leak from features that are known in time', async () => {
    const file = project.path('pipelines/returns/pipeline.ts');
    const shipped = await readFile(file, 'utf8');
    await writeFile(
      file,
      shipped
        .replace("['amount', 'items', 'country']", "['amount', 'items', 'country', { refund: 'amount * returned' }]")
        .replace("returned: 'ordered_at + INTERVAL 1 HOUR'", "returned: 'ordered_at'"),
    );
    const leaky = await explored(['returns', '--as-of', '2020-12-20']);
    expect(leaky.suspects.map(({ name, why }) => [name, why])).toEqual([['refund', 'predicts-alone']]);
    await writeFile(
      file,
      (await readFile(file, 'utf8')).replace("returned: 'ordered_at'", "returned: 'ordered_at + INTERVAL 1 HOUR'"),
    );
    const late = await explored(['returns', '--as-of', '2020-12-20']);
    expect(late.suspects.map(({ name, why }) => [name, why])).toEqual([['refund', 'known-late']]);
    await writeFile(file, shipped);
  });

  test('wrong arguments are refused before anything starts', async () => {
    const limit = await refit(project, ['explore', 'returns', '--limit', '2', '--json']);
    expect(limit.code).toBe(2);
    const unknown = await refit(project, ['explore', 'return', '--json']);
    expect(errorOf(unknown)).toMatchObject({ code: 'REFIT_PIPELINE_UNKNOWN' });
  });
});
