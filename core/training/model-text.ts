/**
 * Brings LightGBM's model text into the form that is kept: without the `parameters:` block (thread count, seeds) and with
 * thresholds rounded down to float32.
 *
 * Why rounded down: LightGBM puts a threshold halfway between two neighbouring values, as a float64. Inputs are float32, so
 * `x <= t` and `x <= floor32(t)` are the same question for every input there is, and whoever stores thresholds as float32
 * (ONNX runtimes, other tools) answers it alike. Rounding to nearest could move a threshold up onto the next value.
 */

import { RefitError } from '../spec/errors.ts';

/** Model text without its `parameters:` block; LightGBM loads it as before. */
export function withoutParameters(text: string): string {
  return text.replace(/\n+parameters:\n[\s\S]*?\nend of parameters\n*/, '\n');
}

/** The text with every threshold rounded down to float32; predictions for float32 inputs stay the same to the last bit. */
export function withFloat32Thresholds(text: string): string {
  const end = text.search(/^end of trees$/m);
  const [head = '', ...trees] = text.slice(0, end).split(/^(?=Tree=\d+$)/m);
  const floored = trees.map((tree) =>
    tree.replace(/^threshold=(.*)$/m, (_, line: string) => `threshold=${floorAll(line)}`),
  );
  // LightGBM finds the trees by their length in bytes.
  const sizes = floored.map((tree) => Buffer.byteLength(tree)).join(' ');
  return head.replace(/^tree_sizes=.*$/m, `tree_sizes=${sizes}`) + floored.join('') + text.slice(end);
}

/** Category splits have whole numbers (which set) here: those are float32 values already and stay as they are. */
function floorAll(line: string): string {
  const floor = (word: string): string => {
    const value = numberOf(word);
    const floored = floor32(value);
    return floored === Number(word) ? word : String(floored);
  };
  return line === '' ? line : line.split(' ').map(floor).join(' ');
}

/** C++ writes an infinite threshold (every value here, missing ones there) as `inf`, which JavaScript does not read. */
function numberOf(word: string): number {
  const value = Number(word.replace(/^([+-]?)inf$/i, '$1Infinity'));
  if (Number.isNaN(value))
    throw new RefitError('REFIT_TRAINING_FAILED', `LightGBM wrote the threshold "${word}", which is no number.`);
  return Math.max(-MOST, Math.min(MOST, value));
}

/** Largest float32; an infinite threshold becomes it, so that every reader of the text can parse it. */
const MOST = 3.4028234663852886e38;

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Largest float32 that is not above `value`. 0.1 → 0.09999999403953552; -0.1 → -0.10000000149011612; 1e300 → 3.4e38. */
export function floor32(value: number): number {
  float[0] = value;
  const nearest = float[0];
  if (!(nearest > value)) return nearest;
  // Neighbours of a float32 have neighbouring bit patterns; below zero (where -0 also ends up) the larger pattern is the lower.
  if (nearest > 0) bits[0] = (bits[0] ?? 0) - 1;
  else if (nearest < 0) bits[0] = (bits[0] ?? 0) + 1;
  else bits[0] = -0x7fffffff;
  return float[0];
}
