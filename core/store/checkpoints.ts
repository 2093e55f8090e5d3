import { getOrDamage } from './damage.ts';
import { sha256 } from './digest.ts';
import type { ObjectStore } from './ports.ts';

/** Resume points of one step key. Each is checked when read: a truncated or altered one is passed over for the one before. */
export interface Checkpoints {
  latest(): Promise<{ index: number; body: Uint8Array } | undefined>;
  /** Create-only: a second attempt's equal checkpoint changes nothing. The newest two are kept. `index` counts from 0. */
  publish(index: number, body: Uint8Array): Promise<void>;
  clear(): Promise<void>;
}

const KEPT = 2;
/** `refit-checkpoint 1 <64 hex digits>\n` */
const HEADER_BYTES = 19 + 64 + 1;

/** Checkpoints under `steps/<step>/<key>.checkpoints/<index, ten digits>`. Methods throw what the store throws. */
export function createCheckpoints(objects: ObjectStore, step: string, key: string): Checkpoints {
  const folder = `steps/${step}/${key}.checkpoints/`;
  const keyOf = (index: number): string => folder + String(index).padStart(10, '0');
  /** The header binds the bytes to this very place, so that a copy of another checkpoint is refused too. */
  const header = (name: string, body: Uint8Array): Uint8Array =>
    new TextEncoder().encode(`refit-checkpoint 1 ${sha256(`${name}\n${sha256(body)}`)}\n`);

  async function keys(): Promise<string[]> {
    const found: string[] = [];
    for await (const name of objects.list(folder)) found.push(name);
    return found;
  }

  async function read(name: string): Promise<{ body?: Uint8Array; etag: string } | undefined> {
    const found = await getOrDamage(objects, name);
    if (!found?.body) return found && { etag: found.etag };
    const body = found.body.slice(HEADER_BYTES);
    const good = Buffer.from(header(name, body)).equals(found.body.subarray(0, HEADER_BYTES));
    return good ? { body, etag: found.etag } : { etag: found.etag };
  }

  return {
    async latest() {
      for (const name of (await keys()).reverse()) {
        const body = (await read(name))?.body;
        if (body) return { index: Number(name.slice(folder.length)), body };
      }
      return undefined;
    },
    async publish(index, body) {
      const name = keyOf(index);
      const bytes = Buffer.concat([header(name, body), body]);
      if ((await objects.put(name, bytes, { create: true })) === undefined) {
        const there = await read(name);
        if (there && !there.body) await objects.put(name, bytes, { ifMatch: there.etag });
      }
      for (const old of (await keys()).slice(0, -KEPT)) await objects.delete(old);
    },
    async clear() {
      for (const name of await keys()) await objects.delete(name);
    },
  };
}
