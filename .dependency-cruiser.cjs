// Who may import whom: the table of the layout, as rules. `npm run check` and test/unit/layers.test.ts run them.

/** Areas of core, low to high: each may import core/spec and the areas before it. */
const AREAS = [
  'store',
  'dataset',
  'features',
  'training',
  'onnx',
  'transforms',
  'evaluation',
  'registry',
  'drift',
  'webhooks',
  'openlineage',
  'exploration',
];

/** What a folder may import of ours, besides itself; what is not listed is forbidden. */
const LAYERS = {
  pipelines: ['core/spec'],
  'core/spec': [],
  ...Object.fromEntries(
    AREAS.map((area, index) => [`core/${area}`, ['core/spec', ...AREAS.slice(0, index).map(inCore)]]),
  ),
  'core/pipeline': ['core/spec', 'core/store', 'core/dataset'],
  'core/compose': ['core'],
  // Activities as types only: see `workflows-take-types-only`.
  workflows: ['core/spec', 'activities'],
  activities: ['core'],
  // Workflows by path: the bundler is told the file's name, nothing is imported.
  workers: ['core', 'activities', 'infra'],
  schedules: ['core/spec', 'core/compose'],
  gateway: ['core', 'infra'],
  client: ['core/spec'],
  cli: ['client', 'core', 'schedules', 'infra'],
  infra: [],
};

function inCore(area) {
  return `core/${area}`;
}

const under = (folders) => `^(${folders.join('|')})/`;
const BUILT_IN = { dependencyTypes: ['core'] };
const PACKAGE = { path: '^node_modules/' };

const layerRules = Object.entries(LAYERS).map(([folder, allowed]) => ({
  name: `layer-${folder.replace('/', '-')}`,
  comment: `${folder} may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}`,
  severity: 'error',
  from: { path: under([folder]) },
  to: {
    pathNot: [under([folder, ...allowed]), '^node_modules/'],
    dependencyTypesNot: ['core', 'npm-no-pkg', 'unknown'],
  },
}));

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'folders-are-known',
      comment: 'A new folder at the top takes an ADR, and its place in .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^[^/.][^/]*/', pathNot: under([...Object.keys(LAYERS), 'core', 'test', 'bench', 'node_modules']) },
      to: {},
    },
    {
      name: 'core-has-known-areas',
      comment: 'A new area of core takes its place in the order of .dependency-cruiser.cjs first.',
      severity: 'error',
      from: { path: '^core/', pathNot: under(['core/spec', 'core/pipeline', 'core/compose', ...AREAS.map(inCore)]) },
      to: {},
    },
    {
      name: 'pipelines-take-refit-spec-only',
      comment:
        'A pipeline evaluates to plain JSON: it imports refit/spec and its own files, no package, nothing of Node.',
      severity: 'error',
      from: { path: '^pipelines/([^/]+)/' },
      to: { pathNot: ['^pipelines/$1/', '^core/spec/index\\.ts$'] },
    },
    {
      name: 'pipelines-take-refit-spec-by-name',
      comment: 'Users copy pipelines into their own projects, where a path into core leads nowhere.',
      severity: 'error',
      from: { path: '^pipelines/' },
      to: { path: '^core/', dependencyTypes: ['local'] },
    },
    {
      name: 'workflows-take-types-only',
      comment: 'Of activities a workflow may know the types only: their code would be bundled into it.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^activities/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'workflows-run-in-a-sandbox',
      comment: 'Workflow code is replayed: nothing of Node (time, files, random numbers) may be in it.',
      severity: 'error',
      from: { path: '^(workflows|core/spec)/' },
      to: { ...BUILT_IN, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'workflows-take-the-workflow-sdk-only',
      comment: 'Other packages of the Temporal SDK, and most of npm, do I/O.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: {
        ...PACKAGE,
        pathNot: '^node_modules/@temporalio/(workflow|common)/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'adapters-are-made-in-compose',
      comment: 'Areas of core are given what they need; only core/compose looks at the environment.',
      severity: 'error',
      from: { path: '^core/', pathNot: '^core/compose/' },
      to: { path: '^core/compose/' },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { pathNot: '^(test|bench)/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'no-circles',
      comment: 'Two files that need each other at run time are one file, or three.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: '^node_modules/' },
    exclude: { path: '(^(\\.refit|coverage|data|docs)|/dist)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.mts', '.d.mts', '.mjs', '.js', '.cjs', '.json'],
    },
    builtInModules: { add: ['node:test', 'node:sqlite', 'node:sea'] },
  },
};
