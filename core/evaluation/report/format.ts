/** How figures read on the page. */

/** 84231 → '84,231'. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Four decimals, as metrics of a hundred thousand rows deserve; '–' where there is none. */
export function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(4);
}

/** With its sign: +0.0123, −0.0045. */
export function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`;
}

/** 0.2184 → '21.8 %'. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** '2013-10-01T00:00:00Z' → '2013-10-01'; a time that is not midnight keeps hours and minutes. */
export function date(iso: string): string {
  const [day = iso, time = ''] = iso.split('T');
  return time === '' || time.startsWith('00:00:00') ? day : `${day} ${time.slice(0, 5)}`;
}

/** A gate's value or limit: four decimals, or powers of ten for the very small. */
export function limitText(value: number | null): string {
  if (value === null) return '–';
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toFixed(4);
}

/** Any parameter's value: up to six significant digits. */
export function parameter(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '–');
}

/** Three to six round numbers that span `low`..`high` inside it: 0.62..0.79 → 0.65, 0.7, 0.75. */
export function roundTicks(low: number, high: number, most = 6): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= most) ?? power * 10;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}
