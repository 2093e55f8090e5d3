// Where Refit's own files lie, and where it may write what it builds and fetches.
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Installed into somebody's project, npm has done its part already and the cache belongs to that project. */
const installed = root.includes(`${sep}node_modules${sep}`);
const project = installed ? process.cwd() : root;

/** The real place; tests make others. */
export const place = { root, project, cache: join(project, '.refit'), installed, env: process.env };
