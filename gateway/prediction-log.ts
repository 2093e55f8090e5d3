/**
 * The prediction log. Rows are kept in memory for half a second, then lie on this machine's disk (a segment of JSON lines,
 * synced), and seconds later in the store as Parquet, by model and hour. A process that is killed loses the half second; the
 * next one on this machine publishes what its segments hold. Nothing here makes a request wait or fail: when the disk is full,
 * rows gather up to a limit and are then dropped, and counted.
 */
import { mkdir } from 'node:fs/promises';
import type { OnlineValue } from '../core/features/online-store.ts';
import type { PublishSegment } from './log-parquet.ts';
import {
  abandonedSegments,
  createSegment,
  isGone,
  mendSegment,
  removeSegment,
  type Segment,
  type SegmentName,
} from './log-segment.ts';

export interface Prediction {
  /** Unique for good. */
  id: string;
  at: Date;
  model: string;
  version: number;
  /** 'features': completed from the online store; 'raw': all inputs came with the request; 'v2': as tensors. */
  source: 'features' | 'raw' | 'v2';
  keys: Record<string, string> | null;
  /** What the model was given, by feature name. */
  inputs: Record<string, OnlineValue>;
  score: number;
  label: boolean;
  latencyMs: number;
}

export interface PredictionLog {
  append(predictions: readonly Prediction[]): void;
  /** What `/metrics` tells. `lagSeconds`: age of the oldest row that is not in the store yet. */
  state(): { written: number; dropped: number; failures: number; buffered: number; lagSeconds: number };
  /** Writes and publishes all there is. */
  close(): Promise<void>;
}

export interface PredictionLogOptions {
  /** Where segments lie. */
  folder: string;
  publish: PublishSegment;
  /** From memory to disk. */
  flushMs?: number;
  /** From disk to the store. */
  publishMs?: number;
  /** Text in memory at most. */
  bufferBytes?: number;
  /** A segment is closed at this size, or when its hour is over. */
  segmentBytes?: number;
  now?: () => Date;
  /** Told when writing begins to fail. */
  onFailure?(error: unknown): void;
}

const TOUCH_MS = 30_000;
/** After a failure, and for what others left behind. */
const RETRY_MS = 30_000;

export function createPredictionLog(options: PredictionLogOptions): PredictionLog {
  const { folder, publish, onFailure, now = () => new Date() } = options;
  const { flushMs = 500, publishMs = 3_500, bufferBytes = 32 << 20, segmentBytes = 16 << 20 } = options;
  let buffer: { hour: string; line: string; since: number }[] = [];
  let buffered = 0;
  let segment: Segment | undefined;
  const sealed: Segment[] = [];
  let unpublishedSince: number | undefined;
  const due = { publish: 0, recover: 0, touch: 0 };
  const counts = { written: 0, dropped: 0, failures: 0 };
  let failing = false;
  let running: Promise<void> | undefined;

  async function flush(): Promise<void> {
    while (buffer[0]) {
      const { hour } = buffer[0];
      if (segment && (segment.hour !== hour || segment.bytes >= segmentBytes)) await seal();
      const end = buffer.findIndex((row) => row.hour !== hour);
      const rows = buffer.slice(0, end < 0 ? buffer.length : end);
      if (!segment) {
        await mkdir(folder, { recursive: true });
        segment = await createSegment(folder, hour);
      }
      await segment.append(rows.map(({ line }) => line));
      buffer = buffer.slice(rows.length);
      buffered -= rows.reduce((sum, { line }) => sum + line.length, 0);
      counts.written += rows.length;
    }
  }

  /** Ends the segment: it is published by whoever comes by, at the latest by the next process. */
  async function seal(): Promise<void> {
    const ended = segment;
    if (!ended) return;
    segment = undefined;
    sealed.push(ended);
    await ended.close();
    await publishSealed();
  }

  async function publishSealed(): Promise<void> {
    for (let next = sealed[0]; next; next = sealed[0]) {
      await settle(next);
      sealed.shift();
    }
  }

  /** Publishes a segment that grows no more and removes it; one that is gone was settled by another process. */
  async function settle(ended: SegmentName): Promise<void> {
    try {
      await mendSegment(ended.file);
      await publish(ended);
      await removeSegment(ended);
    } catch (error) {
      if (!(await isGone(ended))) throw error;
    }
  }

  async function recover(): Promise<void> {
    // One that nobody can publish does not keep the others.
    const failures: unknown[] = [];
    for (const left of await abandonedSegments(folder)) {
      await settle(left).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async function publishOpen(at: number): Promise<void> {
    if (unpublishedSince === undefined || at < due.publish) return;
    due.publish = at + publishMs;
    await publishSealed();
    if (segment) await publishGrowing(segment);
    // Rows that came meanwhile, or that the disk did not take, are in memory still.
    unpublishedSince = buffer[0]?.since;
  }

  async function publishGrowing(growing: Segment): Promise<void> {
    try {
      await publish(growing);
    } catch (error) {
      if (!(await isGone(growing))) throw error;
      // Somebody cleaned up under us: the next rows begin another file.
      segment = undefined;
      await growing.close();
    }
  }

  /** One step does not wait for another that fails: a store that is full must not keep rows from the disk. */
  async function tick(): Promise<void> {
    const at = now().getTime();
    await attempt(flush);
    await attempt(
      async () => {
        if (segment && segment.hour !== hourOf(now())) await seal();
        await publishOpen(at);
      },
      () => (due.publish = at + RETRY_MS),
    );
    if (at >= due.touch) {
      due.touch = at + TOUCH_MS;
      await attempt(async () => segment?.touch());
    }
    if (at >= due.recover) {
      due.recover = at + RETRY_MS;
      await attempt(recover);
    }
  }

  async function attempt(work: () => Promise<void>, failed: () => void = () => undefined): Promise<void> {
    try {
      await work();
      failing &&= false;
    } catch (error) {
      failed();
      counts.failures += 1;
      if (!failing) onFailure?.(error);
      failing = true;
    }
  }

  function next(): Promise<void> {
    running ??= tick().finally(() => {
      running = undefined;
    });
    return running;
  }
  const timer = setInterval(() => void next(), flushMs);
  timer.unref();
  void next();

  return {
    append(predictions) {
      for (const prediction of predictions) {
        const line = lineOf(prediction);
        if (buffered + line.length > bufferBytes) {
          counts.dropped += 1;
          continue;
        }
        const since = now().getTime();
        unpublishedSince ??= since;
        buffer.push({ hour: hourOf(prediction.at), line, since });
        buffered += line.length;
      }
    },
    state: () => ({
      ...counts,
      buffered: buffer.length,
      lagSeconds: unpublishedSince === undefined ? 0 : Math.max(0, (now().getTime() - unpublishedSince) / 1000),
    }),
    async close() {
      clearInterval(timer);
      await running;
      await attempt(flush);
      await attempt(seal);
    },
  };
}

/** Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes U+FFFD, as the model was given it: no reader takes it. */
function lineOf({ at, latencyMs, ...prediction }: Prediction): string {
  const line = JSON.stringify({ ...prediction, predicted_at: at, latency_ms: latencyMs });
  return line.replace(/\\(ud[89a-f][0-9a-f]{2}|.)/g, (all, escaped: string) => (escaped.length > 1 ? '\ufffd' : all));
}

/** `2026-11-21T07`, UTC. */
function hourOf(at: Date): string {
  return at.toISOString().slice(0, 13);
}
