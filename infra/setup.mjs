// Sets a machine up: looks at every part, makes what is missing, says what it does. Plain Node, no dependencies, since it
// runs before anything is installed.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withLock } from './parts/files.mjs';
import { place, shareWithProject } from './parts/place.mjs';
import { SetupProblem } from './parts/problem.mjs';
import { elapsed, stopAll } from './parts/processes.mjs';
import { inspect, optionalParts, parts } from './parts.mjs';

const USAGE = `Usage: node infra/setup.mjs [--check] [--only ${names(parts).join(',')}] [--json]

Looks for what Refit needs and makes what is missing, once, under .refit/.
  --check   only look; exit status 1 when something is missing
  --only    only these parts, separated by commas; made only when named: ${names(optionalParts).join(', ')}
  --json    print one JSON value on standard output, progress on standard error
`;

function names(list) {
  return list.map(({ name }) => name);
}

/** @returns the exit status: 0 all there, 1 something is missing, 2 wrong usage. */
async function main(argv) {
  const options = readOptions(argv);
  if (options.usage !== undefined) {
    (options.status === 0 ? process.stdout : process.stderr).write(options.usage);
    return options.status;
  }
  const say = (line) => (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const report = await setUp(options, say);
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  return report.ok ? 0 : 1;
}

function readOptions(argv) {
  const flags = {
    check: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
    only: { type: 'string' },
  };
  try {
    const { values } = parseArgs({ args: argv, options: flags });
    if (values.help) return { usage: USAGE, status: 0 };
    const wanted = values.only?.split(',') ?? names(parts);
    const known = [...parts, ...optionalParts];
    const unknown = wanted.find((name) => !names(known).includes(name));
    if (unknown !== undefined) return { usage: `There is no part "${unknown}".\n\n${USAGE}`, status: 2 };
    return { ...values, chosen: known.filter((part) => wanted.includes(part.name)) };
  } catch (error) {
    return { usage: `${error.message}\n\n${USAGE}`, status: 2 };
  }
}

async function setUp({ chosen, check }, say) {
  const findings = await inspect(chosen);
  const missing = chosen.filter((_, index) => !findings[index].ok);
  for (const finding of findings) {
    if (finding.ok) say(`✓ ${finding.detail}`);
    else if (check) say(`✗ ${finding.detail}\n  → ${finding.cure}`);
  }
  if (check) return { ok: missing.length === 0, parts: findings };
  if (missing.length === 0) {
    await shareWithProject(place);
    return { ok: true, parts: findings };
  }

  const problems = await problemsOf(missing, findings);
  if (problems.length > 0) return refuse(problems, findings, say);
  try {
    const log = (line) => say(`… ${line}`);
    await withLock(join(place.cache, 'setup.lock'), log, () => makeAll(missing, findings, log, say));
    await shareWithProject(place);
  } catch (error) {
    if (!(error instanceof SetupProblem || error.syscall)) throw error;
    return refuse([error], findings, say);
  }
  return { ok: true, parts: findings };
}

/** What stands in the way of the missing parts, all of it, before any long work starts. */
async function problemsOf(missing, findings) {
  const problems = missing.map(async (part) => {
    if (part.needs) return part.needs();
    const finding = findings.find(({ name }) => name === part.name);
    return [new SetupProblem(`${finding.detail}.`, finding.cure)];
  });
  return (await Promise.all(problems)).flat();
}

async function makeAll(missing, findings, log, say) {
  for (const part of missing) {
    // Another set-up may have made it while this one waited for the lock.
    let finding = await part.check();
    if (!finding.ok) {
      const started = Date.now();
      await part.make(log);
      finding = await part.check();
      if (!finding.ok) throw new SetupProblem(`${finding.detail}, although it was just made.`, 'Run it again.');
      finding = { ...finding, made: true, detail: `${finding.detail}, made in ${elapsed(Date.now() - started)}` };
    }
    say(`✓ ${finding.detail}`);
    findings[findings.findIndex(({ name }) => name === part.name)] = { name: part.name, ...finding };
  }
}

function refuse(problems, findings, say) {
  const cure = (problem) => problem.cure ?? 'Make .refit a folder on a disk with space that this user may write to.';
  for (const problem of problems) say(`✗ ${problem.message}\n  → ${cure(problem)}`);
  const [{ message }] = problems;
  const details = { problems: problems.map((problem) => ({ message: problem.message, cure: cure(problem) })) };
  return {
    ok: false,
    parts: findings,
    error: { code: 'REFIT_SETUP_MISSING', message, cure: cure(problems[0]), details },
  };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    // The lock names this process; the next set-up sees that it is gone.
    stopAll();
    process.exit(130);
  });
}
process.exitCode = await main(process.argv.slice(2));
