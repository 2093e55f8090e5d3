import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenLineageEvent } from '../../core/spec/openlineage.ts';
import { createEmptyProject, type Project, REPOSITORY, refit, runJson } from '../support/project.ts';
import { python, pythonPackages } from '../support/python.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

const CLIENT = 'openlineage-python==1.54.0';
const asOf = ['--as-of', '2020-12-20'];

let project: Project;
beforeAll(async () => {
  project = await createEmptyProject();
  await addTinyPipeline(project, 'returns');
});
afterAll(() => project?.remove());

const isEvent = new Ajv2020({ strict: false, validateFormats: false }).compile(OpenLineageEvent);
function parsed(lines: string[]): OpenLineageEvent[] {
  const events = lines.map((line) => JSON.parse(line) as OpenLineageEvent);
  for (const event of events) expect(isEvent(event), JSON.stringify(isEvent.errors)).toBe(true);
  return events;
}
const told = (events: OpenLineageEvent[]) => events.map(({ eventType, job }) => `${eventType} ${job.name}`);

test('a run is written to a file, as OpenLineage’s own client understands it', async () => {
  const result = await runJson(project, ['returns', ...asOf], { REFIT_OPENLINEAGE: 'file:out/events.jsonl' });
  expect(result.verdict).toBe('promoted');
  const file = project.path('out/events.jsonl');
  const events = parsed((await readFile(file, 'utf8')).trimEnd().split('\n'));
  expect(told(events)[0]).toBe('START returns');
  expect(told(events).at(-1)).toBe('COMPLETE returns');
  expect(events[0]?.run.runId).toBe(result.runId);
  const model = events.at(-1)?.outputs[0];
  expect(model?.facets).toMatchObject({
    version: { datasetVersion: '1' },
    refit_model: { sha256: result.model.sha256, verdict: 'promoted' },
  });
  const set = events.find(({ job, eventType }) => job.name === 'returns.features' && eventType === 'COMPLETE');
  expect(set?.outputs[0]?.facets?.columnLineage).toMatchObject({
    fields: { amount: { inputFields: [{ field: 'amount' }] }, __label: { inputFields: [{ field: 'returned' }] } },
  });

  const script = path.join(REPOSITORY, 'test/fixtures/openlineage/check_events.py');
  const report = JSON.parse(await python([script, file], await pythonPackages(CLIENT), CLIENT)) as object;
  expect(report).toMatchObject({ events: events.length, problems: [], facets: { columnLineage: 2, refit_run: 20 } });
});

test('an endpoint that fails at first is told everything once more, in order; a run that fails says why', async () => {
  const bodies: string[] = [];
  let refusals = 2;
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (refusals-- > 0) return void response.writeHead(503).end();
      bodies.push(Buffer.concat(chunks).toString());
      response.writeHead(201).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const REFIT_OPENLINEAGE = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const again = await runJson(project, ['returns', ...asOf], { REFIT_OPENLINEAGE });
    expect(again.verdict).toBe('unchanged');
    expect(told(parsed(bodies)).at(-1)).toBe('COMPLETE returns');
    expect(new Set(bodies).size).toBe(20);
    bodies.length = 0;
    const { code } = await refit(project, ['run', 'returns', '--as-of', '2019-01-01'], { REFIT_OPENLINEAGE });
    expect(code).toBe(1);
    const last = parsed(bodies).at(-1);
    expect(last).toMatchObject({ eventType: 'FAIL', job: { name: 'returns' } });
    expect(JSON.stringify(last?.run.facets?.errorMessage)).toContain('REFIT_WINDOW_EMPTY');
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

test('a receiver that is not there fails no run, and the command says so', async () => {
  const { code, stderr } = await refit(project, ['run', 'returns', ...asOf], {
    REFIT_OPENLINEAGE: 'http://127.0.0.1:9',
  });
  expect(code).toBe(0);
  expect(stderr).toContain('The receiver of OpenLineage events does not answer');
});
