/** A draft as `pipeline.ts`: what a person would have written, with the reasons where the decisions are. */
import type { Draft } from './draft-pipeline.ts';
import type { DraftFeature } from './keep-features.ts';
import { isPlainName, quoted } from './names.ts';
import { comment, object, property, text } from './typescript.ts';

/** @param command the command line that made it, to say so at the top */
export function renderPipeline(draft: Draft, command: string): string {
  const { request, model, source } = draft;
  const imports = [
    'atLeast',
    draft.format,
    'definePipeline',
    'fields',
    'gbdt',
    'notWorseThanChampion',
    'parity',
  ].sort();
  return `${[
    `import { ${imports.join(', ')} } from 'refit/spec';`,
    '',
    ...comment(`Written by \`${command}\`, and yours from now on: change what you know better.`, ''),
    ...comment(`\`npx --no refit run ${request.name}\` computes anew only what a change touches.`, ''),
    'export default definePipeline({',
    `  name: ${text(request.name)},`,
    `  question: ${text(question(draft))},`,
    "  // A run without --as-of is as of the end of the data; once new rows keep coming, 'now' is the clock.",
    "  asOf: 'latest',",
    '',
    ...sourceLines(draft),
    '',
    ...spineLines(draft),
    '',
    ...featureLines(draft),
    '',
    ...splitLines(draft),
    '',
    ...modelLines(draft),
    '',
    ...gateLines(draft),
    '',
    '  // A feature that moved this much between the training rows and the newest ones is reported as drifted.',
    `  drift: { window: ${text(draft.split.split.test)}, psi: 0.2 },`,
    "  // 'required': a version that passed its gates waits until a person approves it.",
    "  promote: { approval: 'none' },",
    '});',
  ].join('\n')}\n`;

  function question({ label, at }: Draft): string {
    return `Will it turn out that ${label.means}? Asked about a row of ${source} at its ${at}.`;
  }

  function modelLines({ split }: Draft): string[] {
    const lines = [
      ...comment(
        `Gradient-boosted trees (LightGBM; params are its own), sized for ${count(split.train.rows)} training rows.`,
        '  ',
      ),
      '  model: gbdt({',
      `    rounds: ${model.rounds},`,
      '    earlyStopping: 30,',
      '    params: {',
      ...Object.entries(model.params).map(([key, value]) => `      ${key}: ${value},`),
      '    },',
      '  }),',
    ];
    if (model.search) return [...lines, ...searchLines(model.search)];
    return [
      ...lines,
      ...comment(
        'Too few rows to tell one set of parameters from another: search: { trials: 8 } would try some.',
        '  ',
      ),
    ];
  }
}

function searchLines({ trials, rounds, rowShare }: { trials: number; rounds: number; rowShare: number }): string[] {
  return [
    '  search: {',
    `    trials: ${trials},`,
    `    rounds: ${rounds},`,
    ...(rowShare === 1 ? [] : [`    rowShare: ${rowShare},`]),
    '    space: {',
    '      num_leaves: { min: 15, max: 63, log: true, int: true },',
    '      min_data_in_leaf: { min: 20, max: 500, log: true, int: true },',
    '      lambda_l2: { min: 0.1, max: 20, log: true },',
    '    },',
    '  },',
  ];
}

function sourceLines(draft: Draft): string[] {
  const { source, format, request, derive, at, over, label, time } = draft;
  const derived = Object.entries(derive).flatMap(([name, { sql, why }]) => [
    ...comment(why, '        '),
    `        ${property(name)}: ${text(sql)},`,
  ]);
  const guards = label.guarded.map((column) => `        ${property(column)}: ${text(label.knownAt)},`);
  return [
    '  sources: {',
    `    ${property(source)}: ${format}(${text(request.path)}, {`,
    `      contract: ${text(`${source}.schema.json`)},`,
    ...comment(`${quoted(time.column)} holds ${time.how}.`, '      '),
    ...(request.zone === 'UTC' ? [] : [`      zone: ${text(request.zone)},`]),
    ...(derived.length > 0 ? ['      derive: {', ...derived, '      },'] : []),
    `      eventTime: ${text(over)},`,
    '      // When values became known. A column that is filled in later must say when, or the model learns from the future.',
    ...(guards.length > 0
      ? ['      knownAt: {', `        '*': ${text(at)},`, ...guards, '      },']
      : [`      knownAt: { '*': ${text(at)} },`]),
    '    }),',
    '  },',
  ];
}

function spineLines({ source, key, at, label, online }: Draft): string[] {
  return [
    '  // One row to predict for each row of the table, asked at its time.',
    '  spine: {',
    `    from: ${text(source)},`,
    ...comment(`${key.column ? quoted(key.column) : key.name}: ${key.because}.`, '    '),
    `    key: [${text(key.name)}],`,
    `    predictAt: ${text(at)},`,
    ...comment(`True where ${label.means} (${label.because}); rows without a label are left out.`, '    '),
    `    label: ${text(label.sql)},`,
    `    labelKnownAt: ${text(label.knownAt)},`,
    '    // A row can be asked for by its key until so long after its prediction time.',
    `    online: ${text(online)},`,
    '  },',
  ];
}

function featureLines({ source, features, leftOut }: Draft): string[] {
  return [
    "  // The row's own columns, as they were known when it was asked about.",
    '  features: [',
    `    fields(${text(source)}, [`,
    ...features.map((feature) => `      ${field(feature)},`),
    ...(leftOut.length > 0 ? ['      // Left out:'] : []),
    ...leftOut.flatMap(({ column, why, sql }) =>
      comment(`${quoted(column)}: ${why}${sql ? `: { ${suggested(column)}: ${text(sql)} }` : ''}`, '      '),
    ),
    '    ]),',
    '  ],',
  ];
}

function field({ name, sql }: DraftFeature): string {
  return name === sql ? text(name) : `{ ${property(name)}: ${text(sql)} }`;
}

function suggested(column: string): string {
  return isPlainName(column) ? column : 'its_name';
}

function splitLines({ split: { split, train, validate, test, from, asOf } }: Draft): string[] {
  const share = ({ rows, positives }: { rows: number; positives: number }) =>
    `${count(rows)} rows (${count(positives)} positive)`;
  return [
    ...comment(
      `Back from the end of the data (${asOf}; it begins ${from}): test ${share(test)}, validation ${share(validate)}, training ${share(train)}.`,
      '  ',
    ),
    `  split: { test: ${text(split.test)}, validate: ${text(split.validate)}, train: ${object(split.train)} },`,
  ];
}

function gateLines({ model: { gates }, split }: Draft): string[] {
  return [
    '  // What a version must meet to be promoted. These only keep out what is broken: put in what you need, for instance',
    "  // betterThanBaseline('logLoss'), slices(['some_column']) or a higher AUC.",
    '  gates: [',
    ...comment(`Guessing has 0.5; on ${count(split.test.rows)} test rows chance alone stays above this.`, '    '),
    `    atLeast('auc', ${gates.auc}),`,
    `    notWorseThanChampion('logLoss', { tolerance: ${gates.tolerance}, minRows: ${gates.minRows} }),`,
    '    parity(1e-5),',
    '  ],',
  ];
}

function count(rows: number): string {
  return rows.toLocaleString('en-US');
}
