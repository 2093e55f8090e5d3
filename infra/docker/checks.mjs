// What a container of Refit needs from its surroundings, looked at before anything starts: each problem is one sentence
// with its cure. Plain Node.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Role of a container -> the program that it runs. */
export const ROLES = {
  control: 'workers/control.ts',
  cpu: 'workers/cpu.ts',
  gpu: 'workers/gpu.ts',
  all: 'workers/all.ts',
  gateway: 'gateway/start.mjs',
};

/** The task queues that a role serves; none for the gateway. */
export function queuesOf(role) {
  if (role === 'gateway') return [];
  return role === 'all' ? ['refit-control', 'refit-cpu', 'refit-gpu'] : [`refit-${role}`];
}

/**
 * Everything that would keep a role from working, in the order in which to mend it.
 * @param {string} role one of ROLES
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ code: string, message: string, cure: string }[]>}
 */
export async function problemsOf(role, env) {
  const root = env.REFIT_ROOT ?? process.cwd();
  const problems = [temporalProblem(role, env)];
  problems.push(await storeProblem('REFIT_STORE', env.REFIT_STORE ?? 'file:.refit/store', 'file:', root));
  if (role !== 'control') {
    problems.push(await storeProblem('REFIT_ONLINE', env.REFIT_ONLINE ?? 'lmdb:.refit/online', 'lmdb:', root));
  }
  if (role === 'cpu' || role === 'all')
    problems.push(await pipelinesProblem(resolve(root, env.REFIT_PIPELINES ?? 'pipelines')));
  return problems.filter((problem) => problem !== undefined);
}

/** Nothing is tried here: a server that is not up yet is waited for by whoever restarts the container. */
function temporalProblem(role, env) {
  if (role === 'gateway') return undefined;
  if (env.TEMPORAL_ADDRESS || env.TEMPORAL_CONFIG_FILE || env.TEMPORAL_PROFILE) return undefined;
  return {
    code: 'REFIT_TEMPORAL_UNREACHABLE',
    message: `The ${role} worker is not told where Temporal is: TEMPORAL_ADDRESS is not set.`,
    cure: 'Set TEMPORAL_ADDRESS (such as temporal:7233), or TEMPORAL_CONFIG_FILE with a profile.',
  };
}

/** A folder is tried by writing; what has another scheme is for its adapter to judge. */
async function storeProblem(variable, value, scheme, root) {
  if (/^[a-z0-9+]+:/i.test(value) && !value.startsWith(scheme)) return undefined;
  const folder = resolve(root, value.startsWith(scheme) ? value.slice(scheme.length) : value);
  const probe = join(folder, `.writable-${process.pid}-${Date.now()}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
    return undefined;
  } catch (error) {
    const { uid, gid } = { uid: process.getuid?.(), gid: process.getgid?.() };
    return {
      code: error.code === 'ENOSPC' ? 'REFIT_STORE_FULL' : 'REFIT_STORE_UNWRITABLE',
      message: `${variable} is ${folder}, which this process (user ${uid}, group ${gid}) cannot write to (${error.code}).`,
      cure: `Mount a volume there that user ${uid} may write to, or point ${variable} elsewhere.`,
    };
  }
}

async function pipelinesProblem(folder) {
  const names = await readdir(folder).catch(() => []);
  if (names.length > 0) return undefined;
  return {
    code: 'REFIT_PIPELINE_UNKNOWN',
    message: `There is no pipeline in ${folder}.`,
    cure: "Mount your project's pipelines/ there (and data/ beside it), or build an image that has them.",
  };
}
