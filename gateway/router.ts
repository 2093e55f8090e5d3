/**
 * Which version answers for a model: the champion of its routing record. Records are looked at again and again; a new champion
 * takes over when it is whole and loaded, and requests under way finish with the version they began with. Whatever is damaged
 * leaves the version that serves, and all other models, as they are.
 *
 * `pick` decides per request, so that shares of traffic can be split here once routing knows them.
 */
import { readRouting } from '../core/registry/routing.ts';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';
import type { ObjectStore } from '../core/store/ports.ts';
import { shown } from './http-errors.ts';
import type { ModelLoader, ServedModel } from './served-model.ts';

export interface Router {
  /**
   * The version that answers this request.
   * @throws RefitError REFIT_MODEL_UNKNOWN; why the model could not be loaded, where no version of it serves
   */
  pick(model: string, version?: string): Promise<ServedModel>;
  /** Names of the models with a routing record, sorted. */
  models(): string[];
  /** Looks at all routing records now. Never rejects. */
  refresh(): Promise<void>;
  /** True once routing was looked at for the first time. */
  ready(): boolean;
  stop(): Promise<void>;
}

export interface RouterEvents {
  /** A version has taken over. */
  serving?(served: ServedModel): void;
  /** A routing record or its champion cannot be used; told when it begins and when it changes. */
  problem?(model: string, error: unknown): void;
}

interface Entry {
  served?: ServedModel;
  /** The record that `served` or `problem` belongs to. */
  seen?: string;
  problem?: unknown;
  retryAt: number;
}

const RETRY_MS = 5_000;
const MODEL = /^[a-z0-9][a-z0-9-]{0,62}$/;

export function createRouter(
  { objects, loader, pollMs }: { objects: ObjectStore; loader: ModelLoader; pollMs: number },
  events: RouterEvents = {},
): Router {
  const entries = new Map<string, Entry>();
  const underway = new Map<string, Promise<void>>();
  /** Models that had a record at the last look around. */
  let listed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let looked = false;
  let stopped = false;

  /**
   * One look at a time for each model; whoever comes meanwhile waits for that one. Rejects where nothing is known of the model
   * and the store does not tell: nothing is remembered then, because anybody can make up any number of names.
   */
  function look(model: string): Promise<void> {
    const running = underway.get(model);
    if (running) return running;
    const started = lookOnce(model).finally(() => underway.delete(model));
    underway.set(model, started);
    return started;
  }

  async function lookOnce(model: string): Promise<void> {
    try {
      const routing = await readRouting(objects, model);
      // A record that is gone leaves the champion that serves; a store that is unplugged for a moment looks the same.
      if (!routing) {
        if (!entries.get(model)?.served) entries.delete(model);
        return;
      }
      const entry = entryOf(model);
      const seen = `${routing.champion.version} ${routing.champion.sha256} ${routing.audit.hash}`;
      if (entry.seen === seen && (entry.problem === undefined || Date.now() < entry.retryAt)) return;
      const { champion } = routing;
      const same = entry.served?.version === champion.version && entry.served.manifest.sha256 === champion.sha256;
      if (!same) {
        entry.served = await loaded(model, () => loader.load(model, champion), seen);
        events.serving?.(entry.served);
      }
      entry.seen = seen;
      delete entry.problem;
    } catch (error) {
      if (!entries.has(model) && !listed.has(model)) throw error;
      report(model, error);
    }
  }

  async function loaded(model: string, load: () => Promise<ServedModel>, seen: string): Promise<ServedModel> {
    try {
      return await load();
    } catch (error) {
      entryOf(model).seen = seen;
      throw error;
    }
  }

  function entryOf(model: string): Entry {
    const known = entries.get(model) ?? { retryAt: 0 };
    entries.set(model, known);
    return known;
  }

  function report(model: string, error: unknown): void {
    const entry = entryOf(model);
    const isNew = entry.problem === undefined || String(entry.problem) !== String(error);
    entry.problem = error;
    entry.retryAt = Date.now() + RETRY_MS;
    if (isNew) events.problem?.(model, error);
  }

  async function refresh(): Promise<void> {
    const found = new Set<string>();
    try {
      for await (const key of objects.list('routing/')) {
        const name = /^routing\/([^/]+)\.json$/.exec(key)?.[1];
        if (name && MODEL.test(name)) found.add(name);
      }
      listed = found;
    } catch (error) {
      events.problem?.('', error);
    }
    await Promise.allSettled([...new Set([...entries.keys(), ...found])].map(look));
    looked = true;
  }

  async function poll(): Promise<void> {
    await refresh();
    if (!stopped) timer = setTimeout(() => void poll(), pollMs);
  }
  void poll();

  return {
    async pick(model, version) {
      let entry = entries.get(model);
      // A model that was promoted a moment ago need not wait for the next look around.
      if (!entry?.served && MODEL.test(model)) {
        await look(model);
        entry = entries.get(model);
      }
      if (!entry?.served) throw entry?.problem ?? unknownModel(model, [...entries.keys()]);
      if (version !== undefined && version !== String(entry.served.version)) {
        throw new RefitError(
          'REFIT_MODEL_UNKNOWN',
          `Version ${version} of ${model} is not served; the champion is version ${entry.served.version}.`,
          { model, version, champion: entry.served.version },
        );
      }
      return entry.served;
    },
    models: () => [...entries.keys()].sort(),
    refresh,
    ready: () => looked,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await Promise.allSettled(underway.values());
    },
  };
}

function unknownModel(model: string, known: string[]): RefitError {
  const name = shown(model);
  const message = `No version of a model "${name}" was promoted${nearest(name, known)}.`;
  return new RefitError('REFIT_MODEL_UNKNOWN', message, { model: name });
}
