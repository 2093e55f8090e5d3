/** Named columns in a graph: an input by itself, or a column of a value [rows, width] that a transform made. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { GraphBuilder } from './graph-builder.ts';

export interface Place {
  /** float32 or string [rows, width]. */
  value: string;
  width: number;
  /** Which of the columns of `value`. */
  index: number;
  kind: FeatureInfo['kind'];
}

/** Where each column stands; a transform that works in place moves it. */
export class GraphColumns {
  private readonly graph: GraphBuilder;
  private readonly places: Map<string, Place>;

  /** Every input is a column. */
  constructor(graph: GraphBuilder, inputs: readonly FeatureInfo[]) {
    this.graph = graph;
    this.places = new Map(inputs.map(({ name, kind }) => [name, { value: name, width: 1, index: 0, kind }]));
  }

  place(name: string): Place {
    const place = this.places.get(name);
    if (!place) throw new RefitError('REFIT_INTERNAL', `The ONNX graph has no column "${name}".`);
    return place;
  }

  /** Names the columns of a value [rows, names.length], in order. */
  set(names: readonly string[], value: string, kind: FeatureInfo['kind']): void {
    for (const [index, name] of names.entries()) this.places.set(name, { value, width: names.length, index, kind });
  }

  /** A value [rows, 1]. */
  one(name: string): string {
    const [value] = this.parts([name]);
    return value as string;
  }

  /** Values that are the columns, in order, when they stand side by side: whole values where they can be taken whole. */
  parts(names: readonly string[]): string[] {
    const parts: string[] = [];
    for (let from = 0; from < names.length; ) {
      const first = this.place(names[from] as string);
      let to = from + 1;
      while (to < names.length && this.place(names[to] as string).value === first.value) to++;
      const indexes = names.slice(from, to).map((name) => this.place(name).index);
      parts.push(this.take(first, indexes));
      from = to;
    }
    return parts;
  }

  private take({ value, width }: Place, indexes: readonly number[]): string {
    if (indexes.length === width && indexes.every((index, i) => index === i)) return value;
    const picked = this.graph.constant(BigInt64Array.from(indexes, BigInt), [indexes.length]);
    return this.graph.gatherColumns(value, picked);
  }
}
