// What Refit needs on a machine, part by part. `node infra/setup.mjs` makes what is missing, `refit doctor` only looks.
import { libraryIn, lightgbmPart } from './parts/lightgbm.mjs';
import { nodePart } from './parts/node.mjs';
import { npmPart } from './parts/npm.mjs';
import { onnxruntimePart } from './parts/onnxruntime.mjs';
import { place } from './parts/place.mjs';
import { programsPart } from './parts/programs.mjs';
import { redisServerPart } from './parts/redis-server.mjs';
import { programIn, s3ServerPart } from './parts/s3-server.mjs';
import { findBinary, temporalPart } from './parts/temporal.mjs';
import { temporalServerPart } from './parts/temporal-server.mjs';

/** In the order in which they are made: the quick ones first, so that what is broken shows early. */
export const parts = [nodePart(), npmPart(), onnxruntimePart(), programsPart(), lightgbmPart(), temporalPart()];

/** Made only when named (`--only`): what working with Refit never needs. */
export const optionalParts = [temporalServerPart(), redisServerPart(), s3ServerPart()];

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

export { programArguments } from './parts/programs.mjs';

export { findRedis } from './parts/redis-server.mjs';

/** The project that this Refit belongs to: the one it is installed in, or its own clone. */
export const homeProject = place.project;

/** Where what is made here is kept: bundles, too. */
export const cacheFolder = place.cache;

/** The path of LightGBM's native library, whether it is there yet or not. */
export const lightgbmLibrary = () => libraryIn(place.cache);

/** The path of the S3 server that the tests start, whether it is there yet or not. */
export const s3Server = () => programIn(place.cache);
