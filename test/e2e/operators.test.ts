import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStack, type Stack } from '../../cli/stack.ts';
import { placesOf } from '../../core/compose/refit.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { openBrowser } from '../support/chromium.ts';
import { createProject, type Project } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

let project: Project;
let stack: Stack;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  project = await createProject({ months: 1 });
  const promote = { approval: 'required', timeout: '1d' };
  await addTinyPipeline(project, 'returns', { asOf: 'latest', extra: { promote } });
  stack = await openStack(placesOf(project.root));
  browser = await openBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
});
afterAll(async () => {
  await browser?.close();
  await stack?.close();
  await project?.remove();
});

/** Keeps a picture for docs/operators.md where REFIT_SCREENSHOTS names a folder. */
async function picture(name: string): Promise<void> {
  const folder = process.env.REFIT_SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

/** A page of the newest run of a workflow id. */
async function pageOf(workflowId: string, tab: 'history' | 'user-metadata'): Promise<string> {
  const { runId } = await stack.client.workflow.getHandle(workflowId).describe();
  return `${stack.ui}/namespaces/default/workflows/${workflowId}/${runId}/${tab}`;
}
const isStarted = async (workflowId: string) =>
  stack.client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      () => true,
      () => false,
    );

/** Fills in the form of the UI as a person would. */
async function typeRun(workflowId: string, argument: string): Promise<void> {
  const form = new URLSearchParams({ workflowId, taskQueue: 'refit-control', workflowType: 'trainPipeline' });
  await page.goto(`${stack.ui}/namespaces/default/workflows/start-workflow?${form.toString()}`);
  await page.waitForLoadState('networkidle');
  const editor = page.locator('.cm-content').first();
  await editor.click();
  await page.keyboard.insertText(argument);
  // The form reads the editor when it is left.
  await page.locator('#workflowId').click();
  await expect.poll(() => editor.textContent()).toContain('pipelin');
  await picture('start');
  await page.getByTestId('start-workflow-button').click();
  await expect.poll(() => isStarted(workflowId), { timeout: 30_000, interval: 200 }).toBe(true);
}

/** The text of a page once it has what is looked for; as a person would, it loads the page again now and then. */
async function reading(address: string, pattern: RegExp): Promise<string> {
  let text = '';
  for (let load = 0; load < 10; load++) {
    await page.goto(address);
    for (let look = 0; look < 12; look++) {
      await page.waitForTimeout(500);
      // The details are shown in a frame of their own.
      const texts = page.frames().map((frame) => frame.evaluate('document.body.innerText').catch(() => ''));
      text = (await Promise.all(texts)).join('\n');
      if (pattern.test(text)) return text;
    }
  }
  throw new Error(`${address} does not say ${pattern}:\n${text}`);
}

test('an operator starts a run by typing its pipeline, watches it, and approves the version', async () => {
  await typeRun('typed-by-hand', '{"pipeline":"returns"}');

  const details = await reading(await pageOf('typed-by-hand', 'user-metadata'), /waits for a person/);
  await picture('waiting');
  expect(details).toMatch(/extract\s+done\s+2,000/);
  expect(details).toMatch(/auc 0\.\d+; logLoss 0\.\d+; gates 2 of 2 passed/);
  expect(details).toMatch(/Report: \S+evaluation\.html/);

  await page.goto(await pageOf('typed-by-hand', 'history'));
  await page.locator('button:visible', { hasText: 'More Actions' }).click();
  await page.getByText('Send an Update').filter({ visible: true }).first().click();
  const dialog = page.locator('dialog[open], [role=dialog]').filter({ visible: true }).first();
  await dialog.getByTestId('update-select-button').click();
  await dialog.getByRole('option', { name: 'approve' }).click();
  await dialog.locator('.cm-content').first().click();
  await page.keyboard.insertText('{"by":"Grace","reason":"calibration looks right"}');
  await dialog.locator('#update-id').click();
  await picture('approve');
  await dialog.getByTestId('confirm-modal-button').click();

  const result = (await stack.client.workflow.getHandle('typed-by-hand').result()) as RunResult;
  expect(result.verdict).toBe('promoted');
  expect(result.gates.at(-1)).toMatchObject({ name: 'approval', passed: true });
  const ended = await reading(await pageOf('typed-by-hand', 'user-metadata'), /: promoted/);
  expect(ended).toMatch(/drift-check\s+done/);
  await picture('promoted');
});

test('a wrong argument fails at once with a sentence that lists what is allowed, in plain sight', async () => {
  await typeRun('mistyped', '{"pipelin":"returns"}');
  await expect(stack.client.workflow.getHandle('mistyped').result()).rejects.toThrow();
  const details = await reading(await pageOf('mistyped', 'user-metadata'), /Failed in preparation/);
  expect(details).toMatch(/REFIT_USAGE: .*pipeline, asOf, set, force.*pipelin. is unknown.*did you mean .pipeline/);
  await picture('mistyped');
});

test('runs are found by pipeline and verdict', async () => {
  const query = encodeURIComponent('RefitPipeline="returns" AND RefitVerdict="promoted"');
  const list = await reading(`${stack.ui}/namespaces/default/workflows?query=${query}`, /typed-by-hand/);
  expect(list).not.toContain('mistyped');
  await picture('list');
});
