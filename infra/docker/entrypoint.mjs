// What start.sh becomes: looks at the surroundings, says in one sentence each what is wrong with them, then runs the role's
// program in this very process, so that signals reach it and its exit status is the container's.
//   node --import tsx infra/docker/entrypoint.mjs control|cpu|gpu|all
//   node infra/docker/entrypoint.mjs gateway
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startBeating } from './alive.mjs';
import { problemsOf, ROLES } from './checks.mjs';

const [role = ''] = process.argv.slice(2);
if (!(role in ROLES)) {
  refuse(2, [
    {
      code: 'REFIT_USAGE',
      message: role === '' ? 'The container is not told which role it has.' : `There is no role "${role}".`,
      cure: `Give one of ${Object.keys(ROLES).join(', ')} as the container's command.`,
    },
  ]);
}

const program = new URL(`../../${ROLES[role]}`, import.meta.url);
if (!existsSync(fileURLToPath(program))) {
  refuse(1, [
    {
      code: 'REFIT_SETUP_MISSING',
      message: `This image cannot run the role ${role}: ${ROLES[role]} is not in it.`,
      cure: role === 'gateway' ? 'Use the image `refit/serving`.' : 'Use the image `refit/training`.',
    },
  ]);
}
const problems = await problemsOf(role, process.env);
if (problems.length > 0) refuse(1, problems);

startBeating(role);
try {
  await import(program.href);
} catch (error) {
  // An error of the catalogue is for people; anything else needs its stack.
  if (typeof error?.code !== 'string' || !error.code.startsWith('REFIT_')) throw error;
  refuse(error.exit ?? 1, [error]);
}

/** @param {number} status @param {{ code: string, message: string, cure: string }[]} found */
function refuse(status, found) {
  for (const { code, message, cure } of found) console.error(`${code}: ${message}\n  ${cure}`);
  process.exit(status);
}
