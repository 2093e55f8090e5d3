/** A draft as README.md: for whoever finds the folder later. */
import type { Draft } from './draft-pipeline.ts';

export function renderReadme(draft: Draft): string {
  const { request, source, label, time, key, features, leftOut, notes, split } = draft;
  const { name } = request;
  const rows = [
    ['rows', `${code(request.path)}, described by [${source}.schema.json](${encodeURI(source)}.schema.json)`],
    ['asked at', `${code(time.column)} (${time.how})`],
    ['answer', `${cell(label.means)} (${cell(label.because)})`],
    ['key', `${code(key.name)}: ${key.because}`],
    [
      'periods',
      `training ${split.train.rows}, validation ${split.validate.rows}, test ${split.test.rows} labelled rows`,
    ],
  ];
  return `${[
    `# ${name}`,
    '',
    `**Will it turn out that ${cell(label.means)}?** A first pipeline, written by \`refit init\`; [pipeline.ts](pipeline.ts) says why`,
    'each thing is as it is.',
    '',
    '|   |   |',
    '| - | - |',
    ...rows.map(([what, how]) => `| ${what} | ${how} |`),
    '',
    `Learns from ${features.map(({ name }) => code(name)).join(', ')}.`,
    '',
    ...(leftOut.length > 0
      ? [
          '| column | not learned from, because |',
          '| - | - |',
          ...leftOut.map(({ column, why }) => `| ${code(column)} | ${cell(why)} |`),
          '',
        ]
      : []),
    ...(notes.length > 0 ? [...notes.map((note) => `- ${cell(note)}`), ''] : []),
    '```sh',
    `npx --no refit run ${name}     # train, evaluate, promote`,
    'npx --no refit dev             # then ask:',
    `curl -s localhost:8080/v1/models/${name}:predict -H 'content-type: application/json' \\`,
    `  -d '{"instances": [{${typical(draft)}}]}'`,
    '```',
  ].join('\n')}\n`;
}

/** The fields of a request without anybody's values. */
function typical({ sample }: Draft): string {
  const fields = Object.entries(sample).map(
    ([name, value]) => `${JSON.stringify(name)}: ${typeof value === 'string' ? '"…"' : '0'}`,
  );
  return fields.length > 12 ? `${fields.slice(0, 12).join(', ')}, …` : fields.join(', ');
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').replaceAll('<', '&lt;');
}
