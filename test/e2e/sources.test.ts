import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunResult } from '../../core/spec/run.ts';
import { createProject, type Project, refit, runJson } from '../support/project.ts';
import { blocksOf } from '../support/services.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';
import { watchRun } from '../support/watched-run.ts';

const projects: Project[] = [];
async function project(): Promise<Project> {
  const made = await createProject({ months: 0 });
  projects.push(made);
  return made;
}
afterAll(async () => {
  await Promise.all(projects.map((made) => made.remove()));
});

describe('kill -9 of the worker in mid-extract', () => {
  const FILES = 40;
  let disturbed: Project;
  let calm: Project;
  beforeAll(async () => {
    [disturbed, calm] = await Promise.all([partitioned(), partitioned()]);
  });

  /** The tiny pipeline on forty files instead of one. */
  async function partitioned(): Promise<Project> {
    const made = await project();
    await addTinyPipeline(made, 'tiny', { rows: 4_000 });
    const [header = '', ...lines] = (await readFile(made.path('data/tiny/orders.csv'), 'utf8')).trim().split('\n');
    await rm(made.path('data/tiny/orders.csv'));
    for (let file = 0; file < FILES; file++) {
      const rows = lines.slice((file * lines.length) / FILES, ((file + 1) * lines.length) / FILES);
      const name = `orders-${String(file).padStart(2, '0')}.csv`;
      await writeFile(made.path('data/tiny', name), `${[header, ...rows].join('\n')}\n`);
    }
    const declared = made.path('pipelines/tiny/pipeline.ts');
    const text = await readFile(declared, 'utf8');
    await writeFile(declared, text.replace('data/tiny/orders.csv', 'data/tiny/orders-*.csv'));
    return made;
  }

  test('is resumed: nothing lost, nothing twice, no orphan visible', async () => {
    const args = ['tiny', '--as-of', '2021-01-01'];
    const run = await watchRun(disturbed, args);
    const before = await run.reaches(
      ({ partitions }) => partitions?.done,
      (seen) => seen >= 3,
    );
    expect(before).toBeLessThan(FILES);
    await run.killWorker();
    const { code, stdout, stderr } = await run.ended();
    expect(code, stderr).toBe(0);
    const result = JSON.parse(stdout) as RunResult;
    expect(result.stages[0]).toMatchObject({ name: 'extract', rows: 4_000 });

    const undisturbed = await runJson(calm, args);
    expect(result.model).toEqual({ ...undisturbed.model, path: result.model.path });
    // One record a file, one manifest a source, one note of what was seen: the very ones of the calm run.
    for (const folder of ['steps', 'datasets', 'sightings', 'blobs']) {
      const names = async ({ path: of }: Project) =>
        (await readdir(of('.refit/store', folder), { recursive: true })).sort();
      const [mine, calmly] = [await names(disturbed), await names(calm)];
      // Records of steps are the only blobs' names that tell the time.
      if (folder === 'blobs') expect(mine.length).toBe(calmly.length);
      else expect(mine).toEqual(calmly);
    }
    expect(await readdir(disturbed.path('.refit/scratch')).catch(() => [])).toEqual([]);
  });
});

describe('docs/sources.md', () => {
  test('its commands run, and a corrected file does not change what was known', async () => {
    const made = await project();
    await mkdir(made.path('data/orders'), { recursive: true });
    for (const month of [1, 2, 3, 4, 5, 6]) await writeMonth(made, month);
    const commands = (await blocksOf('docs/sources.md')).filter(({ language }) => language === 'sh');
    const lines = commands.flatMap(({ text }) => text.trim().split('\n')).filter((line) => line.startsWith('npx'));
    expect(lines.length).toBeGreaterThanOrEqual(3);
    for (const line of lines) {
      const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const { code, stdout, stderr } = await refit(made, words.slice(3));
      expect(code, `${line}\n${stdout}${stderr}`).toBe(0);
    }
    const before = await runJson(made, ['orders', '--as-of', '2024-06-01']);
    await writeMonth(made, 3, 7);
    const after = await runJson(made, ['orders', '--as-of', '2024-06-01']);
    expect(after).toMatchObject({ verdict: 'unchanged', model: { sha256: before.model.sha256 } });
    expect(after.stages.find(({ name }) => name === 'train')).toMatchObject({ cached: true });
  });
});

/** 400 orders of a month as JSON lines; `salt` changes a tenth of the amounts. */
async function writeMonth(made: Project, month: number, salt = 0): Promise<void> {
  const lines = Array.from({ length: 400 }, (_, i) => {
    const at = new Date(Date.UTC(2024, month - 1, 1, 0, i * 100));
    const amount = ((i * 37 + month * 11) % 200) + (salt > 0 && i % 10 === 0 ? salt : 0);
    const returned = amount > 100 !== (i % 7 === 0);
    return JSON.stringify({
      order_id: `${month}-${i}`,
      ordered_at: at.toISOString(),
      amount,
      items: (i % 5) + 1,
      returned,
    });
  });
  await writeFile(path.join(made.path('data/orders'), `2024-0${month}.jsonl`), `${lines.join('\n')}\n`);
}
