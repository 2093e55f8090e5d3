/** From a version back to the raw files, by digest: what its manifest names, completed from the records of its steps. */
import type { LineageTree } from '../spec/cli.ts';
import type { ObjectStore } from '../store/ports.ts';
import { verifyAudit } from './audit.ts';
import { parseJson } from './json-object.ts';
import { readManifest } from './versions.ts';

/** As far as a step's record is looked at here. */
interface Extracted {
  input: { file: { name: string; sha256: string } };
  output: { data: { sha256: string }; rows: number };
}
interface Built {
  output: { digest: string; rows: { train: number; validate: number; test: number } };
}

/** @throws RefitError REFIT_REGISTRY_DAMAGED when the version has no intact manifest */
export async function traceLineage(objects: ObjectStore, model: string, version: number): Promise<LineageTree> {
  const { asOf, sha256, lineage } = await readManifest(objects, model, version);
  const extracted = await extractions(objects);
  const sources = Object.entries(lineage.sources).map(([source, { snapshot, partitions }]) => ({
    source,
    snapshot,
    partitions: partitions.map(({ name, sha256: data }) => {
      const found = extracted.get(`${name} ${data}`) ?? [];
      const raw = [...new Set(found.map(({ input }) => input.file.sha256))].sort();
      return { name, sha256: data, rows: found[0]?.output.rows ?? null, raw };
    }),
  }));
  const decided = (await verifyAudit(objects, model)).entries.filter((entry) => entry.version === version);
  return {
    ...{ model, version, asOf, sha256, pipeline: lineage.pipeline.digest },
    runs: decided.map(({ workflowId, runId }) => ({ workflowId, runId })),
    trainingSet: { digest: lineage.trainingSet, rows: await trainingRows(objects, lineage.trainingSet) },
    sources,
  };
}

/** Records of extracted partitions, by file name and digest of what was extracted. */
async function extractions(objects: ObjectStore): Promise<Map<string, Extracted[]>> {
  const found = new Map<string, Extracted[]>();
  for await (const record of records<Extracted>(objects, 'extract-partition')) {
    const key = `${record.input?.file?.name} ${record.output?.data?.sha256}`;
    found.set(key, [...(found.get(key) ?? []), record]);
  }
  return found;
}

async function trainingRows(objects: ObjectStore, digest: string): Promise<LineageTree['trainingSet']['rows']> {
  for await (const { output } of records<Built>(objects, 'build-training-set')) {
    if (output?.digest !== digest) continue;
    const { train, validate, test } = output.rows;
    return { train, validate, test };
  }
  return null;
}

/** What the step cache holds of a step; half a record tells nothing and is passed over. */
async function* records<Row>(objects: ObjectStore, step: string): AsyncIterable<Row> {
  for await (const key of objects.list(`steps/${step}/`)) {
    const object = key.endsWith('.json') ? await objects.get(key) : undefined;
    const record = object && (parseJson(object.body) as Row | undefined);
    if (record) yield record;
  }
}
