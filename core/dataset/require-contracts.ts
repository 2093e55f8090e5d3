import type { PipelineSpec } from '../spec/pipeline.ts';
import { compileContract } from './contract.ts';
import { invalid } from './contract-schema.ts';
import { referencedSources, requireReferences } from './contract-table.ts';
import { requireKey } from './pii-sql.ts';
import type { SourceOrigin } from './source-files.ts';

/**
 * Source → the sources that its contract refers to, for those that do. Checks what can be known of the contracts of a pipeline
 * before its data is looked at.
 * @throws RefitError REFIT_CONTRACT_INVALID, REFIT_PII_KEY_MISSING
 */
export function requireContracts(
  sources: PipelineSpec['sources'],
  { piiKey }: Pick<SourceOrigin, 'piiKey'>,
): Record<string, string[]> {
  const names = Object.keys(sources);
  const contracts = new Map(names.map((name) => [name, compileContract(sources[name]?.contract ?? {})]));
  for (const [source, { pii, tableRules }] of contracts) {
    requireKey(pii, source, piiKey);
    requireReferences(tableRules, names);
    for (const rule of tableRules) {
      if (rule.kind !== 'references') continue;
      const other = contracts.get(rule.source)?.pii ?? [];
      // A hash is not found among raw values, nor a token of another format.
      const differs = rule.columns.find((name, i) => how(pii, name) !== how(other, rule.to[i] ?? ''));
      if (differs !== undefined)
        invalid(`rule "${rule.rule}"`, `"${differs}" and what it refers to are not treated alike by x-pii`);
    }
  }
  const references = [...contracts].map(([source, { tableRules }]) => [source, referencedSources(tableRules)] as const);
  return Object.fromEntries(references.filter(([, others]) => others.length > 0));
}

function how(pii: ReturnType<typeof compileContract>['pii'], name: string): string {
  const own = pii.find(({ column }) => column === name);
  return own ? `${own.treatment} ${own.treatment === 'token' ? own.format : ''}` : 'raw';
}
