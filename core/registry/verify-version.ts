/** Whether a version is what it was when it was registered: its files, its lineage, the log of decisions and the routing. */
import type { VersionCheck } from '../spec/cli.ts';
import { blobKey, isBlobRef } from '../store/blobs.ts';
import { sha256 } from '../store/digest.ts';
import type { BlobStore } from '../store/ports.ts';
import { isDecision, verifyAudit } from './audit.ts';
import { jsonBytes } from './json-object.ts';
import { readRouting } from './routing.ts';
import type { VersionManifest } from './schemas.ts';
import { findBar } from './status.ts';
import { findManifest, versionFolder } from './versions.ts';

type Check = VersionCheck['checks'][number];

/** Reads and hashes everything the version is made of; a damaged part is a failed check, never an error. */
export async function verifyVersion(blobs: BlobStore, model: string, version: number): Promise<VersionCheck> {
  const manifest = await findManifest(blobs.objects, model, version);
  const checks: Check[] = [check('manifest', manifest !== undefined, 'as it was sealed', 'missing or altered')];
  if (manifest) {
    checks.push(await modelFile(blobs, manifest), ...(await otherFiles(blobs, manifest)));
    checks.push(await artefacts(blobs, manifest), await partitions(blobs, manifest));
  }
  checks.push(...(await decisions(blobs, model, version, manifest)));
  return { model, version, intact: checks.every(({ passed }) => passed), checks };
}

function check(name: string, passed: boolean, good: string, bad: string): Check {
  return { name, passed, found: passed ? good : bad };
}

async function modelFile({ objects }: BlobStore, { model, version, sha256: wanted }: VersionManifest): Promise<Check> {
  const found = await objects.digest(`${versionFolder(model, version)}/model.onnx`);
  const bad = found ? `SHA-256 is ${found.sha256}, the manifest says ${wanted}` : 'missing';
  return check('model.onnx', found?.sha256 === wanted, `${found?.bytes} bytes, SHA-256 ${wanted}`, bad);
}

async function otherFiles({ objects }: BlobStore, manifest: VersionManifest): Promise<Check[]> {
  const { model, version, signature, metrics, gates, comparison, lineage, profile } = manifest;
  const wanted = {
    'signature.json': sha256(jsonBytes(signature)),
    'metrics.json': sha256(jsonBytes({ metrics, gates, comparison })),
    'profile.json': profile.sha256,
    'lineage.json': sha256(jsonBytes(lineage)),
  };
  const checks: Check[] = [];
  for (const [name, digest] of Object.entries(wanted)) {
    const found = await objects.digest(`${versionFolder(model, version)}/${name}`);
    const passed = found?.sha256 === digest;
    checks.push(check(name, passed, 'as the manifest says', found ? 'altered' : 'missing'));
  }
  return checks;
}

async function artefacts(blobs: BlobStore, { trainedModel, profile, report, lineage }: VersionManifest) {
  const { onnx, native, predictions } = trainedModel;
  const wanted = { onnx, native, predictions, profile, report, pipeline: lineage.pipeline.spec };
  const bad: string[] = [];
  for (const [name, ref] of Object.entries(wanted)) {
    if (isBlobRef(ref) && (await blobs.objects.digest(ref.uri))?.sha256 !== ref.sha256) bad.push(name);
  }
  const all = `${Object.values(wanted).filter(isBlobRef).length} blobs with the bytes they are named for`;
  return check('artefacts', bad.length === 0, all, `missing or altered: ${bad.join(', ')}`);
}

/** The data it was made of; what is gone cannot be looked at again, though the model still serves. */
async function partitions({ objects }: BlobStore, { lineage }: VersionManifest): Promise<Check> {
  const all = Object.entries(lineage.sources).flatMap(([source, { partitions: of }]) =>
    of.map(({ name, sha256: digest }) => ({ name: `${source}/${name}`, digest })),
  );
  const bad: string[] = [];
  for (const { name, digest } of all) {
    if ((await objects.digest(blobKey(digest)))?.sha256 !== digest) bad.push(name);
  }
  const good = `${all.length} partitions of ${Object.keys(lineage.sources).length} sources`;
  return check('lineage', bad.length === 0, good, `missing or altered: ${bad.join(', ')}`);
}

async function decisions(
  { objects }: BlobStore,
  model: string,
  version: number,
  manifest: VersionManifest | undefined,
): Promise<Check[]> {
  const { entries, problems } = await verifyAudit(objects, model);
  const said = problems.map(({ sequence, problem }) => `entry ${sequence}: ${problem}`).join(' ');
  const chain = check('audit log', problems.length === 0, `${entries.length} entries, none altered`, said);
  const champion = (await readRouting(objects, model).catch(() => undefined))?.champion;
  // A pause names the version that serves, but decides nothing about it.
  const last = entries.findLast((entry) => entry.version === version && isDecision(entry));
  const barred = (await findBar(objects, model, version).catch(() => undefined)) !== undefined;
  if (champion?.version === version) {
    const same = champion.sha256 === manifest?.sha256 && last?.action === 'promote';
    return [
      chain,
      check('routing', same, 'it serves, as the log decided', 'it serves, but the log or the bytes differ'),
    ];
  }
  const stands = last ? `${last.action}, entry ${last.sequence}` : 'not decided yet';
  const fits = !barred || (last !== undefined && last.action !== 'promote');
  return [chain, check('decision', fits, stands, 'barred, but the log promoted it last')];
}
