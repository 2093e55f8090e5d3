/** Names that match a source's path: `*` and `?` stay within a part of it, `**` spans any number of parts; none matches a part that begins with a dot. */

export const hasWildcard = (part: string): boolean => /[*?]/.test(part);

/** `2013-*.parquet` → /^2013-.*\.parquet$/s */
export function partPattern(part: string): RegExp {
  const escaped = part
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, 'su');
}

/** Whether the parts of a name match the parts of a pattern. */
export function matches(pattern: readonly string[], name: readonly string[]): boolean {
  const [part, ...rest] = pattern;
  const [first, ...others] = name;
  if (part === undefined) return name.length === 0;
  if (part === '**') {
    // At the end it stands for any file below.
    if (rest.length === 0) return name.length > 0 && !name.some(isHidden);
    return matches(rest, name) || (first !== undefined && !isHidden(first) && matches(pattern, others));
  }
  if (first === undefined || !partPattern(part).test(first) || (hasWildcard(part) && isHidden(first))) return false;
  return matches(rest, others);
}

const isHidden = (part: string): boolean => part.startsWith('.');
