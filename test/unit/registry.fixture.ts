import type { Decision } from '../../core/registry/routing.ts';
import type { VersionDraft } from '../../core/registry/versions.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { STAGES } from '../../core/spec/stages.ts';
import { sha256 } from '../../core/store/digest.ts';
import type { BlobStore, ObjectStore } from '../../core/store/ports.ts';

export const MODEL = 'flight-delays';
export const passed = { name: 'auc at least 0.7', passed: true, value: 0.73, limit: 0.7, reason: 'ok' };
export const failed = { name: 'auc at least 0.7', passed: false, value: 0.61, limit: 0.7, reason: 'too low' };

/** A version to register: all that is in it follows from its key. */
export async function versionDraft(
  blobs: BlobStore,
  key: string,
  over: Partial<VersionDraft> = {},
): Promise<VersionDraft> {
  const [onnx, native, spec, profile] = await Promise.all(
    ['onnx', 'native', 'spec', 'profile'].map((what) => blobs.putJson(`${what} of ${key}`)),
  );
  if (!onnx || !native || !spec || !profile) throw new Error('no blobs');
  const features = [{ name: 'distance', kind: 'number' as const, view: 'schedule' }];
  const quality = { auc: 0.73, logLoss: 0.46, brier: 0.15 };
  return {
    ...{
      model: MODEL,
      key,
      asOf: '2013-12-01T00:00:00Z',
      gates: [passed],
      comparison: null,
      report: null,
      page: null,
    },
    trainedModel: {
      ...{ trainer: 'gbdt', native, onnx, predictions: native, features, rounds: 3, roundsTrained: 5, params: {} },
      ...{ importance: [{ feature: 'distance', share: 1 }], seenUntil: '2013-11-01T00:00:00Z' },
    },
    signature: { inputs: [{ name: 'distance' }], outputs: [{ name: 'probability' }] },
    metrics: { validate: quality, test: quality, baseline: quality },
    profile,
    lineage: {
      pipeline: { digest: spec.sha256, spec },
      trainingSet: 'digest of the rows',
      sources: { flights: { snapshot: 's1', partitions: [{ name: '2013-01.parquet', sha256: sha256('rows') }] } },
    },
    ...over,
  };
}

export function runResult(over: Partial<RunResult> = {}): RunResult {
  const quality = { auc: 0.73, logLoss: 0.46, brier: 0.15 };
  return {
    ...{ runId: 'run', workflowId: 'train/flight-delays/2014-01-01', pipeline: MODEL, asOf: '2014-01-01T00:00:00Z' },
    stages: STAGES.map((name) => ({ name, cached: true, seconds: 0 })),
    metrics: { validate: quality, test: quality, baseline: quality },
    ...{ gates: [passed], verdict: 'promoted', drift: { drifted: [], share: 0 }, report: 'page', seconds: 1 },
    model: { name: MODEL, version: 1, sha256: sha256('model'), path: 'models/flight-delays/1' },
    ...over,
  };
}

/** A rule's decision to promote. */
export const decision = (version: number, over: Partial<Decision> = {}): Decision => ({
  ...{ model: MODEL, version, decisionId: `d${version}`, by: 'rule', reason: 'all gates passed', gates: [passed] },
  ...{ runId: `run-${version}`, workflowId: 'train/flight-delays' },
  ...over,
});

/** A store that fails at its n-th write: before anything is written, or after, when only the answer is lost. */
export function failingAt(
  objects: ObjectStore,
  n: number,
  when: 'before' | 'after',
): { store: ObjectStore; writes(): number } {
  let writes = 0;
  async function write<T>(work: () => Promise<T>): Promise<T> {
    writes += 1;
    if (writes >= n && when === 'before') throw new Error('crash');
    const done = await work();
    if (writes >= n) throw new Error('crash');
    return done;
  }
  const store: ObjectStore = {
    ...objects,
    put: (...args) => write(() => objects.put(...args)),
    putFile: (...args) => write(() => objects.putFile(...args)),
    delete: (...args) => write(() => objects.delete(...args)),
  };
  return { store, writes: () => writes };
}
