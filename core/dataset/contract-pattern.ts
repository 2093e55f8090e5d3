/**
 * ECMAScript regular expressions (JSON Schema's `pattern`, `u` flag) as RE2, which DuckDB runs. Translates what means
 * something else there; refuses what RE2 has no word for (look-around, back-references). Does not optimise.
 */

/** ECMAScript's `\s`, as the inside of a character class; RE2's own is ASCII only. */
const SPACE =
  '\\t\\n\\v\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
/** RE2 refuses more repetitions. */
const MOST_REPETITIONS = 1000;

/** A token of the pattern with what it becomes; inside a character class only escapes are looked at. */
interface Rule {
  match: RegExp;
  outside: (m: string[]) => string;
  inClass?: (m: string[]) => string;
}

const same = (m: string[]): string => m[0] ?? '';
const refuse = (what: string) => (): string => {
  throw new SyntaxError(`${what} cannot be checked in SQL`);
};
const hex = (point: number): string => `\\x{${point.toString(16)}}`;

const RULES: Rule[] = [
  { match: /\\s/y, outside: () => `[${SPACE}]`, inClass: () => SPACE },
  { match: /\\S/y, outside: () => `[^${SPACE}]`, inClass: refuse('\\S inside a character class') },
  { match: /\\b/y, outside: same, inClass: () => '\\x08' },
  { match: /\\u\{([0-9a-fA-F]+)\}/y, outside: (m) => hex(Number.parseInt(m[1] ?? '', 16)) },
  {
    match: /\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/y,
    outside: (m) => hex(surrogates(Number.parseInt(m[1] ?? '', 16), Number.parseInt(m[2] ?? '', 16))),
  },
  { match: /\\u([0-9a-fA-F]{4})/y, outside: (m) => hex(Number.parseInt(m[1] ?? '', 16)) },
  { match: /\\c([a-zA-Z])/y, outside: (m) => hex((m[1] ?? '').charCodeAt(0) % 32) },
  { match: /\\0/y, outside: () => '\\x00' },
  { match: /\\([pP])\{(?:sc=|Script=)(\w+)\}/y, outside: (m) => `\\${m[1]}{${m[2]}}` },
  { match: /\\[pP]\{[A-Z][a-z]?\}/y, outside: same },
  { match: /\\[pP]\{[^}]*\}/y, outside: refuse('this Unicode property') },
  { match: /\\[1-9k]/y, outside: refuse('a back-reference') },
  { match: /\\[\s\S]/y, outside: same },
  { match: /\(\?<?[=!]/y, outside: refuse('look-around') },
  { match: /\(\?<(?=\w)/y, outside: () => '(?P<' },
  { match: /\{(\d+)(?:,(\d*))?\}/y, outside: repetitions },
  { match: /\[\^\]/y, outside: () => '(?s:.)' },
  { match: /\[\]/y, outside: () => '[^\\x00-\\x{10FFFF}]' },
  { match: /\./y, outside: () => '[^\\n\\r\\x{2028}\\x{2029}]' },
];

function surrogates(high: number, low: number): number {
  return (high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
}

function repetitions(m: string[]): string {
  if (Math.max(Number(m[1]), Number(m[2] || 0)) > MOST_REPETITIONS)
    refuse(`more than ${MOST_REPETITIONS} repetitions`)();
  return same(m);
}

/**
 * RE2 that matches what the ECMAScript pattern matches: `^.\s$` → `^[^\n\r…][\t\n…]$`.
 * @throws SyntaxError in words fit for a message, when the pattern is wrong or has no RE2
 */
export function toRe2(pattern: string): string {
  new RegExp(pattern, 'u');
  let out = '';
  let inClass = false;
  for (let at = 0; at < pattern.length; ) {
    const hit = inClass && pattern[at] !== '\\' ? undefined : firstRule(pattern, at);
    if (hit) {
      out += inClass ? (hit.rule.inClass ?? hit.rule.outside)(hit.match) : hit.rule.outside(hit.match);
      at += hit.match[0]?.length ?? 1;
      continue;
    }
    const char = pattern[at] ?? '';
    // RE2 would read "[[:alpha:]]" as a class of its own.
    out += inClass && char === '[' ? '\\[' : char;
    if (!inClass && char === '[') inClass = true;
    else if (inClass && char === ']') inClass = false;
    at += 1;
  }
  return out;
}

function firstRule(pattern: string, at: number): { rule: Rule; match: string[] } | undefined {
  for (const rule of RULES) {
    rule.match.lastIndex = at;
    const match = rule.match.exec(pattern);
    if (match) return { rule, match };
  }
  return undefined;
}
