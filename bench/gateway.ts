/**
 * What the gateway manages on this machine: `node --import tsx bench/gateway.ts [seconds] [callers]` prints requests a second
 * and latencies of one-row requests over loopback, callers and gateway sharing the machine's cores. A tiny model: what is
 * measured is the way around it.
 */
import { Agent, request } from 'node:http';
import { createGatewayProject, type RunningGateway, startGateway } from '../test/integration/gateway.fixture.ts';

const [seconds = 3, callers = 16] = process.argv.slice(2).map(Number);
const PATH = '/v1/models/flights:predict';
const RAW = { instances: [{ distance: 1000, carrier: 'AA', wind: 20 }] };
const KEYS = { instances: [{ flight_id: 'A' }] };
const V2 = {
  inputs: [
    { name: 'distance', shape: [1, 1], datatype: 'FP32', data: [1000] },
    { name: 'carrier', shape: [1, 1], datatype: 'BYTES', data: ['AA'] },
    { name: 'wind', shape: [1, 1], datatype: 'FP32', data: [20] },
  ],
};

function ask(agent: Agent, port: number, path: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const outgoing = request({ agent, port, host: '127.0.0.1', method: 'POST', path, headers }, (response) => {
      response.resume();
      response.once('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Latencies in milliseconds, ascending. */
async function measure({ port }: RunningGateway, path: string, value: object, atOnce: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const body = Buffer.from(JSON.stringify(value));
  const latencies: number[] = [];
  const until = performance.now() + seconds * 1000;
  const caller = async () => {
    while (performance.now() < until) {
      const before = performance.now();
      await ask(agent, port, path, body);
      latencies.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  agent.destroy();
  return latencies.sort((a, b) => a - b);
}

const project = await createGatewayProject();
try {
  await project.promote(-2);
  await project.materialize();
  const gateway = await startGateway(project.root);
  for (const atOnce of [1, callers]) {
    for (const [name, path, body] of [
      ['raw fields', PATH, RAW],
      ['entity keys', PATH, KEYS],
      ['V2 JSON', '/v2/models/flights/infer', V2],
    ] as const) {
      await ask(new Agent(), gateway.port, path, Buffer.from(JSON.stringify(body)));
      const latencies = await measure(gateway, path, body, atOnce);
      const at = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2);
      const rate = Math.round(latencies.length / seconds);
      process.stdout.write(
        `${name.padEnd(12)} ${String(atOnce).padStart(3)} at once: ${rate} requests/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
      );
    }
  }
  await gateway.end();
} finally {
  await project.remove();
}
