import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobRef } from '../../core/spec/artifacts.ts';
import { createCheckpoints } from '../../core/store/checkpoints.ts';
import { ownerToken } from '../../core/store/process-identity.ts';
import { defineStep } from '../../core/store/step.ts';
import { ada, bytes, type CacheBench, createCacheBench, live } from './step-cache.fixture.ts';

describe('step cache', () => {
  let bench: CacheBench;
  beforeEach(async () => {
    bench = await createCacheBench();
  });
  afterEach(() => bench.remove());

  it('does the work once and finds it from then on, in another process as well', async () => {
    const first = await bench.cache.run(bench.greet(), ada, { signal: live });
    const second = await bench.newCache().run(bench.greet(), ada, { signal: live });
    expect(bench.runs).toBe(1);
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(second.output).toEqual(first.output);
    expect((await bench.cache.find(bench.greet(), ada))?.output).toEqual(first.output);
    expect(await bench.recordKeys()).toEqual([`steps/greet/${bench.cache.key(bench.greet(), ada)}.json`]);
    expect(await bench.recordOf(first.key)).toMatchObject({
      step: 'greet',
      version: 1,
      natives: { duckdb: '1' },
      input: ada,
      blobs: [first.output.text],
    });
  });

  it('does the work again for another input, step version or version of a library that shapes it, and only for those', async () => {
    const key = bench.cache.key(bench.greet(), ada);
    expect(bench.cache.key(bench.greet(), { name: 'Bob' })).not.toBe(key);
    expect(bench.cache.key(bench.greet(undefined, { version: 2 }), ada)).not.toBe(key);
    expect(bench.cache.key(bench.greet(undefined, { name: 'salute' }), ada)).not.toBe(key);
    expect(bench.newCache({ duckdb: '2' }).key(bench.greet(), ada)).not.toBe(key);
    expect(bench.newCache({ lightgbm: '5' }).key(bench.greet(), ada)).toBe(key);
  });

  it('hands out the first time exactly what it will find later', async () => {
    const step = defineStep<object, { a?: number; b: number }>({
      ...{ name: 'holes', version: 1, natives: [], source: import.meta.url },
      run: async () => ({ a: undefined, b: -0 }) as { b: number },
    });
    const first = await bench.cache.run(step, {}, { signal: live });
    expect(Object.keys(first.output)).toEqual(['b']);
    expect((await bench.cache.run(step, {}, { signal: live })).output).toStrictEqual(first.output);
  });

  describe('damage', () => {
    const harm: Record<string, (text: BlobRef, record: string) => Promise<unknown>> = {
      'a deleted blob': (text) => bench.objects.delete(text.uri),
      'an altered blob of the same length': (text) => bench.objects.put(text.uri, bytes('Hello, Eve')),
      'a truncated blob': (text) => bench.objects.put(text.uri, bytes('Hello')),
      'a record that is no JSON': (_, record) => bench.objects.put(record, bytes('{"step":')),
      'an empty record': (_, record) => bench.objects.put(record, bytes('')),
      'a record without its fields': (_, record) => bench.objects.put(record, bytes('{"step":"greet"}')),
      'a record with another result': async (_, record) => {
        const text = new TextDecoder().decode((await bench.objects.get(record))?.body);
        await bench.objects.put(record, bytes(text.replace('"letters":3', '"letters":4')));
      },
      'a record of another key': async (_, record) => {
        const { key } = await bench.cache.run(bench.greet(), { name: 'Eve' }, { signal: live });
        await bench.objects.put(record, (await bench.objects.get(`steps/greet/${key}.json`))?.body ?? bytes(''));
        bench.runs -= 1;
      },
    };
    it.each(Object.keys(harm))('%s is noticed, and the work is done again', async (what) => {
      const first = await bench.cache.run(bench.greet(), ada, { signal: live });
      await harm[what]?.(first.output.text, `steps/greet/${first.key}.json`);
      expect(await bench.cache.find(bench.greet(), ada)).toBeUndefined();
      const again = await bench.cache.run(bench.greet(), ada, { signal: live });
      expect(again).toMatchObject({ cached: false, output: { letters: 3 } });
      expect(bench.runs).toBe(2);
      expect(new TextDecoder().decode(await bench.blobs.bytes(again.output.text))).toBe('Hello, Ada');
      expect((await bench.newCache().run(bench.greet(), ada, { signal: live })).cached).toBe(true);
      expect(bench.runs).toBe(2);
    });
  });

  describe('scratch and checkpoints', () => {
    it('gives an empty folder of its own and removes it, also after a failure', async () => {
      const seen: string[] = [];
      const step = bench.greet(async (_, { scratch }) => {
        seen.push(scratch);
        expect(await readdir(scratch)).toEqual([]);
        await writeFile(join(scratch, 'rubbish'), 'x');
        if (bench.runs === 1) throw new Error('fails the first time');
      });
      await expect(bench.cache.run(step, ada, { signal: live })).rejects.toThrow('fails the first time');
      await bench.cache.run(step, ada, { signal: live });
      expect(new Set(seen).size).toBe(2);
      expect(await readdir(bench.scratchRoot)).toEqual([]);
    });

    it('removes the scratch of dead processes only', async () => {
      const child = spawn(process.execPath, ['-e', '']);
      await once(child, 'exit');
      const mine = ownerToken();
      const dead = mine.replace(`.${process.pid}.`, `.${child.pid}.`);
      for (const name of [mine, dead, 'not-ours'])
        await mkdir(join(bench.scratchRoot, name, 'inner'), { recursive: true });
      bench.newCache();
      expect((await readdir(bench.scratchRoot)).sort()).toEqual([mine, 'not-ours'].sort());
    });

    it('clears the checkpoints once the result is there', async () => {
      const step = bench.greet(async (_, context) => {
        const checkpoints = createCheckpoints(context.blobs.objects, 'greet', context.key);
        await checkpoints.publish(0, bytes('half way'));
        if (bench.runs === 1) throw new Error('killed');
        expect((await checkpoints.latest())?.index).toBe(0);
      });
      await expect(bench.cache.run(step, ada, { signal: live })).rejects.toThrow('killed');
      expect(await bench.recordKeys()).toHaveLength(1);
      const { key } = await bench.cache.run(step, ada, { signal: live });
      expect(await bench.recordKeys()).toEqual([`steps/greet/${key}.json`]);
    });

    it('calls a full disk in a step by its name', async () => {
      const step = bench.greet(() => {
        throw Object.assign(new Error('write failed'), { code: 'ENOSPC' });
      });
      await expect(bench.cache.run(step, ada, { signal: live })).rejects.toMatchObject({ code: 'REFIT_STORE_FULL' });
    });
  });
});
