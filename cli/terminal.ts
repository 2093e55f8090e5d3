/** Writing for people: progress goes to standard error, so that standard output stays with the result. */

// A table on standard output is painted, too: whoever pipes it elsewhere must not have to strip anything.
const colours = process.stderr.isTTY === true && process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);

export function say(text = ''): void {
  process.stderr.write(`${text}\n`);
}

/** Columns as wide as their widest cell; numbers (`right`) flush right. */
export function table(head: string[], rows: string[][], right: number[] = []): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => width(row[column] ?? ''))));
  const line = (cells: string[], style = (text: string) => text) =>
    cells
      .map((cell, column) => {
        const padding = ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell)));
        return style(right.includes(column) ? padding + cell : cell + padding);
      })
      .join('  ')
      .trimEnd();
  return [line(head, dim), ...rows.map((row) => line(row))].join('\n');
}

const ESCAPE = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
const width = (text: string) => text.replaceAll(ESCAPE, '').length;
export const count = (rows: number | undefined) => rows?.toLocaleString('en-US') ?? '';

/** A line that is rewritten in place on a terminal; elsewhere each different text becomes a line of its own. */
export class LiveLine {
  #shown = '';
  readonly #live = process.stderr.isTTY === true;

  update(text: string, plain: string = text): void {
    if (this.#live) {
      if (text !== this.#shown)
        process.stderr.write(`\r\u001b[2K${text.slice(0, (process.stderr.columns ?? 120) - 1)}`);
      this.#shown = text;
    } else if (plain !== this.#shown) {
      say(plain);
      this.#shown = plain;
    }
  }

  clear(): void {
    if (this.#live && this.#shown) process.stderr.write('\r\u001b[2K');
    this.#shown = '';
  }
}
