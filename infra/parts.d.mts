/** How a part was found. `cure` says what to do where it is not well. */
export interface Finding {
  ok: boolean;
  /** One phrase for people, e.g. `Temporal server 1.29.1 (.refit/bin/temporal, cached)`. */
  detail: string;
  cure?: string;
}

/** Something that Refit needs on a machine. */
export interface Part {
  readonly name:
    | 'node'
    | 'npm'
    | 'onnxruntime'
    | 'programs'
    | 'lightgbm'
    | 'temporal'
    | 'temporal-server'
    | 'redis-server'
    | 's3-server';
  readonly title: string;
  check(): Promise<Finding>;
  /** What is missing to make it, one error a thing, each with its cure; absent on parts that are only looked at. */
  needs?(): Promise<(Error & { cure: string })[]>;
  /** Builds or fetches it. Rejects with an Error that bears a `cure`. */
  make?(log: (line: string) => void): Promise<void>;
}

/** In the order in which they are made. */
export const parts: readonly Part[];

/** Made only when named, with `node infra/setup.mjs --only <name>`. */
export const optionalParts: readonly Part[];

/** Looks at every part; never rejects, changes nothing. */
export function inspect(chosen?: readonly Part[]): Promise<(Finding & { name: Part['name'] })[]>;

/** The Temporal binary to start a local server from; undefined before the set-up. */
export function temporalBinary(): Promise<string | undefined>;

/** Arguments for Node that start a program of Refit: bundled, or from its source where there can be no bundle. */
export function programArguments(name: 'worker' | 'gateway'): Promise<string[]>;

/** The project that this Refit belongs to: the one it is installed in, or its own clone. */
export const homeProject: string;

/** Where what is made here is kept: bundles, too. */
export const cacheFolder: string;

/** The path of LightGBM's native library, whether it is there yet or not. */
export function lightgbmLibrary(): string;

/** A Redis server that runs here; undefined where there is none (`node infra/setup.mjs --only redis-server`). */
export function findRedis(env?: NodeJS.ProcessEnv): Promise<{ path: string; version: string } | undefined>;

/** The path of the S3 server that the tests start, whether it is there yet or not. */
export function s3Server(): string;
