// What Refit needs on a machine, part by part. `node infra/setup.mjs` makes what is missing, `refit doctor` only looks.
import { libraryIn, lightgbmPart } from './parts/lightgbm.mjs';
import { nodePart } from './parts/node.mjs';
import { npmPart } from './parts/npm.mjs';
import { place } from './parts/place.mjs';
import { findBinary, temporalPart } from './parts/temporal.mjs';

/** In the order in which they are made: the quick ones first, so that what is broken shows early. */
export const parts = [nodePart(), npmPart(), lightgbmPart(), temporalPart()];

/** Looks at every part; never throws, changes nothing. */
export function inspect(chosen = parts) {
  return Promise.all(
    chosen.map(async (part) => {
      try {
        return { name: part.name, ...(await part.check()) };
      } catch (error) {
        return { name: part.name, ok: false, detail: `${part.title} could not be looked at: ${error.message}` };
      }
    }),
  );
}

/** The Temporal binary to start a local server from; undefined before the set-up. */
export const temporalBinary = () => findBinary();

/** The path of LightGBM's native library, whether it is there yet or not. */
export const lightgbmLibrary = () => libraryIn(place.cache);
