import type { PipelineSpec } from '../core/spec/pipeline.ts';

/** `model.rounds`, `gates.0.limit`: the path of every single value in `T`. */
type PathOf<T, Before extends string = ''> = T extends readonly (infer Item)[]
  ? PathOf<Item, `${Before}${number}.`>
  : T extends object
    ? { [Key in keyof T & string]-?: PathOf<NonNullable<T[Key]>, `${Before}${Key}.`> }[keyof T & string]
    : Before extends `${infer Path}.`
      ? Path
      : never;

type ValueAt<T, Path extends string> = Path extends `${infer Key}.${infer Rest}`
  ? ValueAt<Child<T, Key>, Rest>
  : Child<T, Path>;

/** What lies under `Key`, in whichever members of a union have it. */
type Child<T, Key extends string> = T extends readonly (infer Item)[]
  ? Item
  : T extends object
    ? Key extends keyof T
      ? NonNullable<T[Key]>
      : never
    : never;

/** What one run may have otherwise; the rest of a declaration (sources, features, spine) names columns and is not for calls. */
type Adjustable = Pick<PipelineSpec, 'split' | 'model' | 'search' | 'gates' | 'drift' | 'promote'>;

/** Settings that every pipeline has, by path: `{ 'model.rounds': 400, 'split.test': '1mo' }`. */
export type Settings = { [Path in PathOf<Adjustable>]?: ValueAt<Adjustable, Path> };
