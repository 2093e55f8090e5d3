/** Facets by name, each with its producer and the URL of its schema, as OpenLineage demands. */
import { createHash } from 'node:crypto';
import type { RefitModelDatasetFacet, RefitPartitionsDatasetFacet, RefitRunFacet } from '../spec/openlineage.ts';

export const SCHEMA_URL = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent';

/** Standard facets → the file and name of their schema, in the versions that this code follows. */
const STANDARD = {
  parent: '1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet',
  nominalTime: '1-0-1/NominalTimeRunFacet.json#/$defs/NominalTimeRunFacet',
  processing_engine: '1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet',
  errorMessage: '1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet',
  jobType: '2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet',
  documentation: '1-1-0/DocumentationJobFacet.json#/$defs/DocumentationJobFacet',
  schema: '1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet',
  version: '1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet',
  columnLineage: '1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet',
  datasetType: '1-0-1/DatasetTypeDatasetFacet.json#/$defs/DatasetTypeDatasetFacet',
  outputStatistics: '1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet',
  subset: '1-0-0/BaseSubsetDatasetFacet.json#/$defs/InputSubsetInputDatasetFacet',
} as const;

/** Our own, described in core/spec/openlineage.ts and published as docs/openlineage/<name>-1-0-0.json. */
const OWN = {
  refit_run: 'RefitRunFacet',
  refit_partitions: 'RefitPartitionsDatasetFacet',
  refit_model: 'RefitModelDatasetFacet',
} as const;

/** `$id` of the schema of one of our own facets. */
export const ownSchemaId = (name: string): string => `urn:refit:openlineage:1-0-0:${name}`;

interface OwnFacets {
  refit_run: RefitRunFacet;
  refit_partitions: RefitPartitionsDatasetFacet;
  refit_model: RefitModelDatasetFacet;
}
type Content<Name extends string> = Name extends keyof OwnFacets
  ? Omit<OwnFacets[Name], '_producer' | '_schemaURL' | '_deleted'>
  : Record<string, unknown>;

/** Names the software and its version. */
export const producerOf = (version: string): string => `urn:refit:refit:${version}`;

/** Facets of one object: `facets(producer, { version: { datasetVersion: '3' } })`. */
export function facets(
  producer: string,
  contents: { [Name in keyof typeof STANDARD | keyof typeof OWN]?: Content<Name> | undefined },
): Record<string, { _producer: string; _schemaURL: string }> {
  const named = Object.entries(contents).flatMap(([name, content]) =>
    content === undefined ? [] : [[name, { _producer: producer, _schemaURL: schemaUrl(name), ...content }]],
  );
  return Object.fromEntries(named) as Record<string, { _producer: string; _schemaURL: string }>;
}

function schemaUrl(name: string): string {
  if (name in OWN) {
    const own = OWN[name as keyof typeof OWN];
    return `${ownSchemaId(own)}#/$defs/${own}`;
  }
  return `https://openlineage.io/spec/facets/${STANDARD[name as keyof typeof STANDARD]}`;
}

/**
 * A UUID that follows from names, so that a repeated telling speaks of the same run: the first 16 bytes of SHA-256, marked as
 * version 8 (RFC 9562: vendor-specific).
 */
export function uuidOf(...names: string[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(names)).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
