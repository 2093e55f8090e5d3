import { RefitError } from '../core/spec/errors.ts';
import { probe } from './embedded-server.ts';

/** Where `refit dev` listens. */
export interface DevPorts {
  temporal: number;
  /** Absent: no UI. */
  ui?: number;
  gateway: number;
}

/** The usual ports, or three in a row from `base`. @throws RefitError REFIT_USAGE for a REFIT_GATEWAY_PORT that is no port */
export function portsOf(base: number | undefined, headless: boolean, env: NodeJS.ProcessEnv): DevPorts {
  const own = env.REFIT_GATEWAY_PORT || '8080';
  if (!/^\d+$/.test(own) || Number(own) < 1 || Number(own) > 65_535) {
    throw new RefitError('REFIT_USAGE', `REFIT_GATEWAY_PORT is "${own}"; it must be a port.`);
  }
  const [temporal, ui, gateway] = base === undefined ? [7233, 8233, Number(own)] : [base, base + 1, base + 2];
  return { temporal, ...(headless ? {} : { ui }), gateway };
}

const PARTS = { temporal: 'the Temporal server', ui: 'the Temporal UI', gateway: 'the gateway' };

/** Looks before anything is started. @throws RefitError REFIT_PORT_IN_USE naming every port that is taken and for what */
export async function requireFree(ports: Partial<DevPorts>, why = ''): Promise<void> {
  const taken: { port: number; part: string }[] = [];
  for (const [part, port] of Object.entries(ports)) {
    if (port !== 0 && (await probe(port)) === undefined) taken.push({ port, part: PARTS[part as keyof DevPorts] });
  }
  if (taken.length === 0) return;
  const list = taken.map(({ port, part }) => `port ${port} (for ${part})`).join(' and ');
  const sentence = `${list[0]?.toUpperCase()}${list.slice(1)} ${taken.length > 1 ? 'are' : 'is'} in use${why}.`;
  throw new RefitError('REFIT_PORT_IN_USE', sentence, { ports: taken.map(({ port }) => port) });
}
