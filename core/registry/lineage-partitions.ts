/** Partitions as lineage knows them: extracted from a file, or folded from such (corrections, change data), however often. */
import type { LineageTree } from '../spec/cli.ts';
import type { Extraction, Fold } from './lineage-records.ts';

export type ToldPartition = LineageTree['sources'][number]['partitions'][number];

type Leaf = ToldPartition['folded'][number];

/** A function that tells what is known of a partition; only its name and digest where the records are gone. */
export function partitionOrigins(extractions: readonly Extraction[], folds: readonly Fold[]) {
  const extracted = extractedFiles(extractions);
  const foldOf = new Map(folds.map((fold) => [`${fold.source} ${fold.data}`, fold]));

  function leaves(source: string, data: string, above: ReadonlySet<string> = new Set()): Leaf[] {
    const fold = foldOf.get(`${source} ${data}`);
    // A fold whose result is one of its parts changed nothing: it is no step back.
    if (!fold || above.has(data)) return extracted.get(`${source} ${data}`) ?? [];
    const parts = fold.of.flatMap((part) => leaves(source, part, new Set([...above, data])));
    return [...new Map(parts.map((leaf) => [`${leaf.name} ${leaf.sha256}`, leaf])).values()];
  }

  return (source: string, name: string, data: string): ToldPartition => {
    const own = extracted.get(`${source} ${data}`)?.find((leaf) => leaf.name === name);
    if (own) return { ...own, folded: [] };
    const folded = leaves(source, data);
    const raw = [...new Set(folded.flatMap((leaf) => leaf.raw))].sort();
    return { name, sha256: data, rows: foldOf.get(`${source} ${data}`)?.rows ?? null, raw, folded };
  };
}

/** By source and digest: files with the same rows give one partition. */
function extractedFiles(extractions: readonly Extraction[]): Map<string, Leaf[]> {
  const found = new Map<string, Leaf[]>();
  for (const { source, name, raw, data, rows } of extractions) {
    const key = `${source} ${data}`;
    const files = found.get(key) ?? [];
    const known = files.find((file) => file.name === name);
    if (!known) files.push({ name, sha256: data, rows, raw: [raw] });
    else if (!known.raw.includes(raw)) known.raw = [...known.raw, raw].sort();
    found.set(key, files);
  }
  return found;
}
