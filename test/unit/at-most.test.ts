import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atMost } from '../../core/spec/at-most.ts';

describe('what leaves a run', () => {
  it('is small, whatever it is, and as it was where that is small enough', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.integer({ min: 2, max: 400 }), (value, bytes) => {
        const told = atMost(bytes, value);
        const text = JSON.stringify(value);
        // Upper bound: what is not ASCII counts three bytes a UTF-16 unit.
        if (text.length * 3 <= bytes) expect(told).toBe(value);
        expect(Buffer.byteLength(JSON.stringify(told))).toBeLessThanOrEqual(bytes);
      }),
    );
  });

  it('keeps the beginnings of its lists', () => {
    const rules = Array.from({ length: 1_000 }, (_, i) => ({ rule: `rule ${i}`, count: i }));
    const told = atMost(6_000, { rows: { orders: 5 }, broken: { orders: rules } });
    expect(told.rows).toEqual({ orders: 5 });
    expect(told.broken.orders.length).toBeGreaterThan(50);
    expect(told.broken.orders).toEqual(rules.slice(0, told.broken.orders.length));
  });
});
