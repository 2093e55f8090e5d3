/** ` (did you mean "x"?)` for a known name within two edits or a third of its length (but not all of it), else ` (there is: a, b)`, else ''. */
export function nearest(name: string, known: string[]): string {
  const ranked = known
    .map((k) => ({ k, d: editDistance(name.toLowerCase(), k.toLowerCase()) }))
    .sort((a, b) => a.d - b.d);
  const best = ranked[0];
  if (best && best.d < name.length && best.d <= Math.max(2, Math.floor(name.length / 3)))
    return ` (did you mean "${best.k}"?)`;
  return known.length > 0 ? ` (there is: ${known.slice(0, 12).join(', ')})` : '';
}

/** Levenshtein distance. 'kitten' → 'sitting' = 3. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
