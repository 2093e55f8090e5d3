// The health of a container: exit status 0 and `healthy`, or 1 and the reason. The gateway is asked over HTTP; a worker is
// healthy once Temporal has seen it poll, and from then on as long as its event loop turns.
import { notePolled, readBeat, STALE_MS } from './alive.mjs';
import { queuesOf } from './checks.mjs';

const problem = await problemNow().catch((error) => error.message);
console.log(problem ?? 'healthy');
process.exit(problem === undefined ? 0 : 1);

async function problemNow() {
  const beat = readBeat();
  if (!beat) return 'no role was started here';
  if (beat.role === 'gateway') return gatewayProblem();
  if (beat.beatAgoMs > STALE_MS)
    return `the ${beat.role} worker has not moved for ${Math.round(beat.beatAgoMs / 1000)} s`;
  if (beat.polled) return undefined;
  const unseen = await unseenQueues(beat);
  if (unseen.length > 0) return `Temporal has not seen this worker on ${unseen.join(', ')} yet`;
  notePolled(beat);
  return undefined;
}

async function gatewayProblem() {
  const port = process.env.REFIT_GATEWAY_PORT ?? 8080;
  const { ok, status } = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(4_000) });
  return ok ? undefined : `the gateway answers /health with ${status}`;
}

/** The queues of its role on which Temporal does not list this process among the pollers. */
async function unseenQueues({ role, identity }) {
  // The serving image has no Temporal SDK.
  const { Connection } = await import('@temporalio/client');
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '4s' });
  try {
    const unseen = [];
    for (const queue of queuesOf(role)) {
      const { pollers } = await connection.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: queue },
        taskQueueType: queue === 'refit-control' ? 1 : 2,
      });
      if (!pollers?.some((poller) => poller.identity === identity)) unseen.push(queue);
    }
    return unseen;
  } finally {
    await connection.close();
  }
}
