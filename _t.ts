import { readFileSync } from 'node:fs';
import { createFolderStore } from './core/store/folder-store.ts';
import { createBlobStore } from './core/store/blobs.ts';
import { createStepCache } from './core/store/step-cache.ts';
import { loadPipeline } from './core/pipeline/load.ts';
import { buildTrainingSet } from './core/features/build-training-set.ts';
import { createFitModel, modelSlice } from './core/training/fit-model.ts';
import { createFitLogistic } from './core/training/fit-logistic.ts';
import { createRunTrial } from './core/training/run-trial.ts';
import { exportOnnx } from './core/onnx/export-model.ts';
import { evaluateCandidate } from './core/evaluation/evaluate-candidate.ts';
import { proposeTrials, bestTrial } from './core/spec/search.ts';
const blobs = createBlobStore(createFolderStore('/work/scratch/t/store'));
const cache = createStepCache({ blobs, versions: {duckdb:'1',lightgbm:'1',onnxruntime:'1'}, scratchRoot: '/work/scratch/t/scratch' });
const spec = await loadPipeline('pipelines','flight-delays', JSON.parse(process.argv[2] ?? '{}'));
const signal = new AbortController().signal;
const snapshots = JSON.parse(readFileSync('/work/scratch/t/snaps.json','utf8'));
const {spine, features: views, split, model} = spec;
const log = (n: string, r: any) => console.log(n, r.cached, r.seconds);
const ts = await cache.run(buildTrainingSet, {spine, views, split, asOf:'2014-01-01T00:00:00Z', snapshots, slices:['origin','carrier']}, {signal});
log('features', ts); const {data, features, ...rest} = ts.output; console.log(JSON.stringify(rest), features.length);
const trainingSet = ts.output; const library='.refit/lib/lib_lightgbm.so';
const trial = createRunTrial({library, threads: 1});
const done: any[] = [];
while (done.length < spec.search.trials) {
  const props = proposeTrials(spec.search, model.seed, done, 2);
  const rs = await Promise.all(props.map(t => cache.run(trial, {trainingSet, model: modelSlice(model), trial: t, rounds: spec.search.rounds, rowShare: spec.search.rowShare}, {signal})));
  for (const r of rs) { log('trial', r); console.log(JSON.stringify(r.output)); done.push(r.output); }
}
const best = bestTrial(done)?.params ?? {};
const base = await cache.run(createFitLogistic({library, threads:1}), {trainingSet}, {signal}); log('baseline', base);
const fit = await cache.run(createFitModel({library, threads:2}), {trainingSet, model: modelSlice({...model, params: {...model.params, ...best}})}, {signal}); log('fit', fit);
console.log(fit.output.rounds, fit.output.roundsTrained, JSON.stringify(fit.output.importance.slice(0,8)));
const onnx = await cache.run(exportOnnx, {model: fit.output}, {signal}); log('onnx', onnx); console.log(onnx.output.onnx.bytes);
const empty = trainingSet.data;
const ev = await cache.run(evaluateCandidate, {trainingSet, model: {...fit.output, ...onnx.output}, baseline: base.output, slices:['origin'], online: {offline: empty, online: empty, rows: trainingSet.rows.test}} as any, {signal}); log('eval', ev);
console.log(JSON.stringify(ev.output.metrics), JSON.stringify(ev.output.baseline.test), ev.output.parity);
