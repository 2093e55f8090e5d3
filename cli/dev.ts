import { Command, InvalidArgumentError } from 'commander';
import { placesOf } from '../core/compose/places.ts';
import { portsOf } from './dev-ports.ts';
import { type DevStack, startDevStack } from './dev-stack.ts';
import { projectRoot } from './project.ts';
import { bold, dim, say, yellow } from './terminal.ts';

interface Options {
  headless?: boolean;
  portBase?: number;
  json?: boolean;
}

export function devCommand(exit: (status: number) => void): Command {
  return new Command('dev')
    .description('Run everything on this machine until Ctrl-C: the Temporal server, a worker, the gateway.')
    .option('--headless', 'without the Temporal UI')
    .option('--port-base <port>', 'Temporal at this port, its UI at the next, the gateway at the one after', portBase)
    .option('--json', 'print the addresses as JSON on standard output when all is ready')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await dev(options)));
}

const EXAMPLES = `
Examples:
  refit dev                      Temporal at 7233, its UI at 8233, the gateway at 8080 (or REFIT_GATEWAY_PORT)
  refit dev --port-base 9000     Temporal at 9000, its UI at 9001, the gateway at 9002
  refit dev --headless           no UI
  refit dev --json > dev.json    the addresses, for a script

Each part is started again when it dies. Other commands of this project use this server while it runs. Runs under way when
it ends go on at the next start. With TEMPORAL_ADDRESS set, that server is used and none is started.

Exit status: 0 ended by Ctrl-C or SIGTERM, 1 could not start.`;

async function dev({ headless = false, portBase: base, json = false }: Options): Promise<number> {
  const places = placesOf(projectRoot());
  const asked = new AbortController();
  const ended = new Promise<void>((resolve) => asked.signal.addEventListener('abort', () => resolve(), { once: true }));
  const stop = () => {
    if (!asked.signal.aborted) return asked.abort();
    // Whoever asks twice does not want to wait; what we started ends when we are gone.
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const started = Date.now();
  const options = { ports: portsOf(base, headless, process.env), moved: base !== undefined };
  const stack = await startDevStack(places, options, asked.signal, (text) => say(yellow(text)));
  if (stack) {
    if (json) process.stdout.write(`${JSON.stringify(stack.addresses)}\n`);
    else process.stdout.write(welcome(stack, (Date.now() - started) / 1000));
    await ended;
    say(dim('Ending: steps under way are finished or given back, runs go on at the next start.'));
    await stack.stop();
  }
  return 0;
}

function welcome({ addresses, shared }: DevStack, seconds: number): string {
  const { temporal, ui, gateway, store } = addresses;
  return `${[
    bold(`Ready in ${seconds.toFixed(1)} s.`),
    `Temporal  ${temporal}`,
    ...(ui ? [`UI        ${ui}`] : []),
    `Gateway   ${gateway}`,
    `Store     ${store}`,
    ...(shared
      ? []
      : [
          dim(`Another server of this project runs: commands use that one, or this with TEMPORAL_ADDRESS=${temporal}.`),
        ]),
    dim('Ctrl-C ends it.'),
  ].join('\n')}\n`;
}

/** Room for two ports after it. */
function portBase(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_533) return port;
  throw new InvalidArgumentError(`It is a port from 1 to 65533, e.g. 9000.`);
}
