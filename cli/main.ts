import { approveCommand, rejectCommand } from './approve.ts';
import { auditCommand } from './audit.ts';
import { backfillCommand } from './backfill.ts';
import { cancelCommand } from './cancel.ts';
import { type CommandMaker, runCommandLine } from './command-line.ts';
import { dataCommand } from './data.ts';
import { demoCommand } from './demo.ts';
import { devCommand } from './dev.ts';
import { doctorCommand } from './doctor.ts';
import { exploreCommand } from './explore.ts';
import { featuresCommand } from './features.ts';
import { initCommand } from './init.ts';
import { lineageCommand } from './lineage.ts';
import { modelCommand } from './model.ts';
import { modelsCommand } from './models.ts';
import { rollbackCommand, rolloutCommand } from './move-routing.ts';
import { pauseCommand, resumeCommand } from './pause.ts';
import { reportError } from './report-error.ts';
import { runCommand } from './run.ts';
import { runsCommand } from './runs.ts';
import { schedulesCommand } from './schedules.ts';
import { setupCommand } from './setup.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';

/** Every command, in the order and under the headings of `refit --help`. */
const COMMANDS: Record<string, CommandMaker[]> = {
  'Runs:': [demoCommand, runCommand, runsCommand, statusCommand, cancelCommand],
  'Models:': [modelsCommand, modelCommand, lineageCommand, auditCommand, verifyCommand],
  'Decisions:': [approveCommand, rejectCommand, rolloutCommand, rollbackCommand, pauseCommand, resumeCommand],
  'Data:': [exploreCommand, dataCommand],
  'Features:': [featuresCommand],
  'Schedules:': [schedulesCommand, backfillCommand],
  'This machine:': [initCommand, setupCommand, devCommand, doctorCommand],
};

/** Runs one command line. @returns the exit status: 0 done, 1 failed, 2 wrong usage, 3 rejected. */
export function main(args: string[]): Promise<number> {
  return runCommandLine(args, COMMANDS, { examples: EXAMPLES, report: reportError });
}

const EXAMPLES = `
Examples:
  refit demo                                        the whole life of a model on real flights, in a few minutes
  refit run flight-delays --as-of 2014-01-01        one run as of a date
  refit run flight-delays --set model.rounds=400    the same with another setting; finished steps are reused
  refit status flight-delays                        how its newest run is doing, and why it failed
  refit runs --compare RUN_A RUN_B                  what two runs have in common, and what not
  refit model flight-delays                         the version that serves: metrics, gates, features, files
  refit data check flight-delays                    the sources against their contracts, without a run
  refit data profile flight-delays                  their statistics, and what changed since the last run
  refit features join --pipeline flight-delays --spine asked.parquet --out features.parquet
  refit approve flight-delays@3 --by ada --reason "slices look fine"
  refit schedules apply                             runs by themselves, as pipelines declare
  refit backfill flight-delays --from 2013-10-01 --to 2013-12-01 --every 1mo
  refit init churn --from customers.csv --label churned --time day     a first pipeline for a table of your own
  refit dev                                         Temporal, a worker and the gateway on this machine, until Ctrl-C
  refit doctor                                      what is here, what is missing, how to get it

Each command tells more with --help, and with --json prints one JSON value on standard output and nothing else. A command
that needs Temporal uses TEMPORAL_ADDRESS or a running \`refit dev\`; with neither it starts a server for as long as it runs.

Exit status: 0 done (promoted, unchanged, started), 1 failed, 2 wrong usage, 3 rejected by a gate or a person.`;
