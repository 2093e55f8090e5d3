import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildFailure } from 'esbuild';
import type { PipelineDraft } from '../spec/define.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { PipelineSpec } from '../spec/pipeline.ts';
import { applySet } from './set.ts';
import { validatePipeline } from './validate.ts';

const SPEC = fileURLToPath(new URL('../spec/index.ts', import.meta.url));
const EVALUATION_TIMEOUT_MS = 20_000;

/** Names of the folders under `pipelines/` that hold a `pipeline.ts`, sorted. */
export async function listPipelines(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && existsSync(path.join(folder, entry.name, 'pipeline.ts')))
    .map(({ name }) => name)
    .sort();
}

/**
 * A pipeline as plain JSON: bundled, evaluated in a child process without our environment, contracts read, overrides
 * applied, checked. @throws RefitError REFIT_PIPELINE_UNKNOWN, REFIT_PIPELINE_INVALID, REFIT_SET_INVALID, REFIT_CONTRACT_INVALID
 */
export async function loadPipeline(
  folder: string,
  name: string,
  set: Record<string, unknown> = {},
): Promise<PipelineSpec> {
  const known = await listPipelines(folder);
  if (!known.includes(name)) {
    const hint = known.length === 0 ? '; that folder holds none' : nearest(name, known);
    throw new RefitError('REFIT_PIPELINE_UNKNOWN', `There is no pipeline "${name}" in ${folder}${hint}.`, { known });
  }
  const directory = path.join(folder, name);
  const draft = (await evaluate(await bundle(directory, name), name)) as PipelineDraft;
  const where = `pipelines/${name}/pipeline.ts`;
  if (typeof draft !== 'object' || draft === null || typeof draft.sources !== 'object') {
    throw new RefitError('REFIT_PIPELINE_INVALID', `${where} does not export definePipeline({ … }) as its default.`);
  }
  const spec = { ...draft, sources: await readContracts(directory, draft, where) };
  if (Object.keys(set).length === 0) return requireName(validatePipeline(spec, where), name, where);
  return requireName(validatePipeline(applySet(spec, set), `${where} with --set`), name, where);
}

function requireName(spec: PipelineSpec, folder: string, where: string): PipelineSpec {
  if (spec.name === folder) return spec;
  throw new RefitError('REFIT_PIPELINE_INVALID', `${where}: name is "${spec.name}", but its folder is "${folder}".`);
}

async function readContracts(directory: string, draft: PipelineDraft, where: string): Promise<Record<string, unknown>> {
  const entries = Object.entries(draft.sources).map(async ([name, source]) => {
    const file = path.join(directory, String(source.contract));
    const text = await readFile(file, 'utf8').catch(() => {
      throw new RefitError(
        'REFIT_CONTRACT_INVALID',
        `${where}: the contract "${source.contract}" of source "${name}" is not beside it.`,
      );
    });
    try {
      return [name, { ...source, contract: JSON.parse(text) as unknown }] as const;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RefitError('REFIT_CONTRACT_INVALID', `${source.contract} of source "${name}" is no JSON: ${reason}.`);
    }
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** One ES module that writes the pipeline's JSON to file descriptor 3. */
async function bundle(directory: string, name: string): Promise<string> {
  // What JSON would drop in silence (closures) or bend (NaN → null) is refused by name.
  const contents = `
    import pipeline from './pipeline.ts';
    import { writeSync } from 'node:fs';
    const text = JSON.stringify(pipeline, function (key, value) {
      const plain = value === null || ['string', 'boolean', 'object', 'undefined'].includes(typeof value) || Number.isFinite(value);
      if (!plain) throw new TypeError('"' + key + '" is ' + (typeof value === 'number' ? value : 'a ' + typeof value) + ': a pipeline is plain JSON');
      return value;
    });
    writeSync(3, text ?? 'null');`;
  const { build } = await import('esbuild');
  try {
    const result = await build({
      stdin: { contents, resolveDir: directory, loader: 'ts', sourcefile: 'pipeline-entry.ts' },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      alias: { 'refit/spec': SPEC },
      logLevel: 'silent',
    });
    return result.outputFiles[0]?.text ?? '';
  } catch (error) {
    const first = (error as BuildFailure).errors?.[0];
    const at = first?.location ? ` (line ${first.location.line})` : '';
    const reason = first?.text ?? String(error);
    throw new RefitError('REFIT_PIPELINE_INVALID', `pipelines/${name}/pipeline.ts${at}: ${reason}.`);
  }
}

/** Runs the bundle with nothing but a time limit: a pipeline must not hang or read secrets of the worker. */
async function evaluate(script: string, name: string): Promise<unknown> {
  const child = spawn(process.execPath, ['--input-type=module', '-'], {
    env: {},
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    timeout: EVALUATION_TIMEOUT_MS,
  });
  const [stdin, , stderr, result] = child.stdio;
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  result?.on('data', (chunk: Buffer) => out.push(chunk));
  stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  stdin?.on('error', () => undefined);
  stdin?.end(script);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return JSON.parse(Buffer.concat(out).toString('utf8')) as unknown;
  const lines = Buffer.concat(err).toString('utf8').split('\n');
  const thrown = lines.find((line) => /^\w*Error\b.*:/.test(line))?.replace(/^\w*Error( \[\w+\])?: /, '');
  const reason =
    code === null ? `it did not end within ${EVALUATION_TIMEOUT_MS / 1000} s` : (thrown ?? 'it threw an error');
  throw new RefitError('REFIT_PIPELINE_INVALID', `pipelines/${name}/pipeline.ts: ${reason.replace(/\.$/, '')}.`);
}
