/** Plain values as TypeScript, as Biome would format it. */

/** A string in the quotes that need the fewest escapes: `a = 'x'` → "a = 'x'". */
export function text(value: string): string {
  const plain = !/[\\\u2028\u2029]|\p{Cc}/u.test(value);
  if (plain && !value.includes("'")) return `'${value}'`;
  if (plain && !value.includes('"')) return `"${value}"`;
  if (plain && !value.includes('`') && !value.includes('${')) return `\`${value}\``;
  return JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

/** A property's name, quoted where it must be. */
export function property(name: string): string {
  if (/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name)) return name;
  const quoted = text(name);
  return quoted.startsWith('`') ? JSON.stringify(name) : quoted;
}

/** `{ a: 1, b: 2 }` */
export function object(value: Readonly<Record<string, number | string>>): string {
  const items = Object.entries(value).map(
    ([key, item]) => `${property(key)}: ${typeof item === 'number' ? item : text(item)}`,
  );
  return `{ ${items.join(', ')} }`;
}

/** A line comment: whatever stands in a name, it cannot leave its line. */
export function comment(words: string, indent: string): string[] {
  const room = 116 - indent.length;
  const lines: string[] = [];
  let line = '';
  // \p{C}: whatever ends a line or cannot be seen.
  for (const word of words
    .replaceAll(/[\s\p{C}\u2028\u2029]+/gu, ' ')
    .trim()
    .split(' ')) {
    if (line !== '' && line.length + word.length + 1 > room) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${indent}// ${one}`);
}
