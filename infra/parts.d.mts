/** How a part was found. `cure` says what to do where it is not well. */
export interface Finding {
  ok: boolean;
  /** One phrase for people, e.g. `Temporal server 1.29.1 (.refit/bin/temporal, cached)`. */
  detail: string;
  cure?: string;
}

/** Something that Refit needs on a machine. */
export interface Part {
  readonly name: 'node' | 'npm' | 'lightgbm' | 'temporal';
  readonly title: string;
  check(): Promise<Finding>;
  /** What is missing to make it, one error a thing, each with its cure; absent on parts that are only looked at. */
  needs?(): Promise<(Error & { cure: string })[]>;
  /** Builds or fetches it. Rejects with an Error that bears a `cure`. */
  make?(log: (line: string) => void): Promise<void>;
}

/** In the order in which they are made. */
export const parts: readonly Part[];

/** Looks at every part; never rejects, changes nothing. */
export function inspect(chosen?: readonly Part[]): Promise<(Finding & { name: Part['name'] })[]>;

/** The Temporal binary to start a local server from; undefined before the set-up. */
export function temporalBinary(): Promise<string | undefined>;

/** The path of LightGBM's native library, whether it is there yet or not. */
export function lightgbmLibrary(): string;
