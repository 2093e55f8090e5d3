/**
 * Fingerprints of the steps: a digest of each step's bundled source beside its version. When the source moves, either the
 * version is raised (results change, nothing cached is found again) or the new fingerprint is accepted with
 * `npm run steps:accept`, which says: the result is unchanged.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { checkCorrection } from '../../core/dataset/check-correction.ts';
import { createExtractPartition } from '../../core/dataset/extract-partition.ts';
import { foldChanges } from '../../core/dataset/fold-changes.ts';
import { foldVersions } from '../../core/dataset/fold-versions.ts';
import { createInspectPartition } from '../../core/dataset/inspect-partition.ts';
import { lastRejection } from '../../core/dataset/last-rejection.ts';
import { profileSnapshot } from '../../core/dataset/profile-snapshot.ts';
import { publishSnapshot } from '../../core/dataset/publish-snapshot.ts';
import { checkDrift } from '../../core/drift/check-drift.ts';
import { compareWithChampion } from '../../core/evaluation/compare-champion.ts';
import { evaluateCandidate } from '../../core/evaluation/evaluate-candidate.ts';
import { publishReport } from '../../core/evaluation/publish-report.ts';
import { exploreData } from '../../core/exploration/explore-data.ts';
import { publishExploration } from '../../core/exploration/publish-exploration.ts';
import { buildTrainingSet } from '../../core/features/build-training-set.ts';
import { sampleOnlineParity } from '../../core/features/online-parity.ts';
import { exportOnnx } from '../../core/onnx/export-model.ts';
import { createFitLogistic } from '../../core/training/fit-logistic.ts';
import { createFitModel } from '../../core/training/fit-model.ts';
import { createRunTrial } from '../../core/training/run-trial.ts';
import { fitTransforms } from '../../core/transforms/fit-transforms.ts';
import { createSelectFeatures } from '../../core/transforms/select-features.ts';

const place = { library: '', threads: 1 };

export const steps = [
  checkCorrection,
  foldChanges,
  foldVersions,
  lastRejection,
  createInspectPartition({ root: '' }),
  createExtractPartition({ root: '' }),
  publishSnapshot,
  profileSnapshot,
  buildTrainingSet,
  sampleOnlineParity,
  fitTransforms,
  createSelectFeatures(place),
  createRunTrial(place),
  createFitModel(place),
  createFitLogistic(place),
  exportOnnx,
  evaluateCandidate,
  compareWithChampion,
  publishReport,
  checkDrift,
  exploreData,
  publishExploration,
].map(({ name, version, source }) => ({ name, version, source: fileURLToPath(source) }));

export type Fingerprints = Record<string, { version: number; sha256: string }>;

const COMMITTED = fileURLToPath(new URL('../../core/compose/step-fingerprints.json', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function committedFingerprints(): Fingerprints {
  return JSON.parse(readFileSync(COMMITTED, 'utf8')) as Fingerprints;
}

/** Training runs in a process of its own, whose source shapes the result as well. */
const CHILD = path.join(ROOT, 'core/training/child.ts');

export async function currentFingerprints(): Promise<Fingerprints> {
  const entries = steps.map(async ({ name, version, source }) => {
    const hash = createHash('sha256').update(await bundled(source));
    if (name === 'select-features' || source.includes(`${path.sep}training${path.sep}`))
      hash.update(await bundled(CHILD));
    return [name, { version, sha256: hash.digest('hex').slice(0, 16) }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Our own sources only, without comments; what npm packages do is held by the lock file. */
async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [file],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    minifyWhitespace: true,
    legalComments: 'none',
  });
  return outputFiles[0]?.text ?? '';
}

if (process.argv[2] === '--accept') {
  const fingerprints = await currentFingerprints();
  writeFileSync(COMMITTED, `${JSON.stringify(fingerprints, null, 2)}\n`);
  process.stdout.write(`${Object.keys(fingerprints).length} steps accepted as they are now\n`);
}
