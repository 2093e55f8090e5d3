/**
 * Bounds what goes to those who have no store: payloads of more than 64 KiB are put away there (core/store/claim-check.ts). Pure,
 * so that workflows may use it.
 */

/** A JSON value of at most so many bytes: as it is, or with the ends of its lists, objects and texts left out. */
export function atMost<T>(bytes: number, value: T): T {
  let cut: unknown = value;
  for (let most = 512; bytesOf(cut) > bytes && most >= 1; most = Math.floor(most / 2)) cut = shortened(value, most);
  return (bytesOf(cut) > bytes ? {} : cut) as T;
}

/** Upper bound of the JSON's bytes in UTF-8: 'aé' → 2 quotes, 1 and 3. */
function bytesOf(value: unknown): number {
  const text = JSON.stringify(value) ?? '';
  return text.length + 2 * (text.match(/[^\0-\x7f]/g)?.length ?? 0);
}

/** Texts keep eight times as many characters as lists keep items. */
function shortened(value: unknown, most: number): unknown {
  if (typeof value === 'string') return value.length > most * 8 ? `${value.slice(0, most * 8)}…` : value;
  if (Array.isArray(value)) return value.slice(0, most).map((item) => shortened(item, most));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).slice(0, most);
  return Object.fromEntries(entries.map(([key, item]) => [key, shortened(item, most)]));
}
