import { mkdir } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { literal, withDuckDb } from '../../core/dataset/duckdb.ts';
import { materializeOnline } from '../../core/features/materialize.ts';
import { sampleOnlineParity } from '../../core/features/online-parity.ts';
import { readFeatures } from '../../core/features/read-features.ts';
import { readColumns } from '../../core/features/read-table.ts';
import type { LogisticNative } from '../../core/training/native-model.ts';
import { iso, valuesOf } from './features.fixture.ts';
import { type Bus, createOnlineBench, INPUT, type OnlineBench, type Trip } from './online.fixture.ts';
import { predictOnnx } from './onnx.fixture.ts';

let bench: OnlineBench;
beforeAll(async () => {
  bench = await createOnlineBench();
});
afterAll(() => bench.remove());

const trip = fc.record<Trip>({
  town: fc.option(fc.constantFrom('oslo', "l'aquila", '"x"', ''), { freq: 10 }),
  bus: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 10 }),
  leaves: fc.integer({ min: 0, max: 30 }),
  delay: fc.integer({ min: 0, max: 5 }),
});
const bus = fc.record<Bus>({
  number: fc.integer({ min: 1, max: 3 }),
  seats: fc.integer({ min: 10, max: 60 }),
  color: fc.constantFrom('red', 'blue', ''),
  known: fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 })),
});

test('online and offline give the same features, to the last bit, on random data', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trip, { minLength: 1, maxLength: 25 }),
      fc.array(bus, { maxLength: 6 }),
      fc.integer({ min: 5, max: 30 }),
      async (trips, buses, hour) => {
        const snapshots = await bench.publishTrips(trips, buses);
        const scratch = bench.fresh('parity');
        await mkdir(scratch);
        const sample = await sampleOnlineParity.run(
          { ...INPUT, snapshots, asOf: iso(hour), sample: 10 },
          { ...bench.context(), scratch },
        );
        const [offline, online] = await withDuckDb({ scratch }, async (db) => {
          const read = async (blob: typeof sample.offline) =>
            valuesOf(db, `SELECT * FROM read_parquet('${await bench.blobs.path(blob)}')`);
          return [await read(sample.offline), await read(sample.online)];
        });
        expect(online).toEqual(offline);
        expect(offline).toHaveLength(Math.min(10, trips.filter(({ leaves }) => leaves - 10 <= hour).length));
      },
    ),
    { numRuns: 8 },
  );
}, 120_000);

test("'' and null are the same: offline, online and to a model", async () => {
  const buses = (color: string | null): Bus[] => [{ number: 1, seats: 40, color, known: [0, 0] }];
  const trips = (town: string | null): Trip[] => [{ town, bus: 1, leaves: 11, delay: 0 }];
  const sides = async (text: string | null) => {
    const snapshots = await bench.publishTrips(trips(text), buses(text));
    const scratch = bench.fresh('parity');
    await mkdir(scratch);
    const request = { ...INPUT, snapshots, asOf: iso(10) };
    const { offline } = await sampleOnlineParity.run({ ...request, sample: 1 }, { ...bench.context(), scratch });
    const store = bench.openStore();
    const { namespace } = await materializeOnline({ ...request, pipeline: 'p' }, store, bench.context());
    const { features, vectors } = await readFeatures(store, namespace, [{ id: 't0' }], iso(10));
    const file = await bench.blobs.path(offline);
    const table = await withDuckDb({ scratch }, (db) =>
      readColumns(db, `(SELECT * FROM read_parquet(${literal(file)}))`, features),
    );
    return { features, table, online: vectors[0]?.values };
  };
  const [blank, none] = [await sides(''), await sides(null)];
  expect(blank).toEqual(none);
  expect(blank.table.categories).toEqual({ town: [null], color: [null] });
  expect(blank.online).toMatchObject({ town: null, color: null });

  const native: LogisticNative = {
    ...{
      format: 'logistic',
      intercept: 0.1,
      numbers: [],
      features: blank.features.filter((f) => f.kind === 'category'),
    },
    categories: ['town', 'color'].map((feature) => ({ feature, levels: ['x'], weights: [2], otherWeight: -1 })),
  };
  const asked = (value: string | null) => ({ rows: 1, numbers: {}, categories: { town: [value], color: [value] } });
  expect(await predictOnnx(native, asked(''))).toEqual(await predictOnnx(native, blank.table));
  expect(await predictOnnx(native, asked('x'))).not.toEqual(await predictOnnx(native, blank.table));
});
