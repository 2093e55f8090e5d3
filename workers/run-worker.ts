import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createAnnounceActivities } from '../activities/announce.ts';
import { createDriftActivities } from '../activities/drift.ts';
import { ErrorsInterceptor } from '../activities/errors-interceptor.ts';
import { createEvaluateActivities } from '../activities/evaluate.ts';
import { createExploreActivities } from '../activities/explore.ts';
import { createExtractActivities } from '../activities/extract.ts';
import { createFeatureActivities } from '../activities/features.ts';
import { createOpenLineageActivities } from '../activities/openlineage.ts';
import { createPrepareActivities } from '../activities/prepare.ts';
import { createPromoteActivities } from '../activities/promote.ts';
import { createTrainActivities } from '../activities/train.ts';
import { probeStore } from '../core/compose/probe.ts';
import { compose, placesOf, type Refit } from '../core/compose/refit.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { claimCheck } from '../core/store/claim-check.ts';
import { cacheFolder } from '../infra/parts.mjs';
import { workflowBundle as workflowBundleFile } from './bundle.ts';
import { registerSearchAttributes } from './search-attributes.ts';

export type Role = keyof typeof TaskQueue;

/** Activities of a pool: GPU workers train, CPU workers do everything. */
function activitiesOf(role: Role, refit: Refit): object {
  const train = createTrainActivities(refit);
  if (role === 'gpu') return train;
  return {
    ...train,
    ...createPrepareActivities(refit),
    ...createExtractActivities(refit),
    ...createFeatureActivities(refit),
    ...createEvaluateActivities(refit),
    ...createPromoteActivities(refit),
    ...createDriftActivities(refit),
    ...createAnnounceActivities(refit),
    ...createOpenLineageActivities(refit),
    ...createExploreActivities(refit),
  };
}

/** Says so where the online store is set up to lose features; where it does not answer, the step that needs it says that. */
async function tellHazard({ online, places }: Refit): Promise<void> {
  // Asking LMDB would make its folder; nothing is wrong with it.
  if (!/^rediss?:/.test(places.online)) return;
  const hazard = await online()
    .hazard()
    .catch(() => undefined);
  if (hazard) process.stderr.write(`refit worker: ${hazard.code}: ${hazard.message} ${hazard.cure}\n`);
}

/**
 * Runs a worker for each role until SIGTERM, SIGINT, or until the process that started it is gone. `REFIT_ROOT` names the
 * project; Temporal is found as @temporalio/envconfig reads TEMPORAL_*.
 */
export async function runWorkers(roles: readonly Role[]): Promise<void> {
  const leave = () => process.exit(1);
  process.once('disconnect', leave);
  Runtime.install({ shutdownSignals: ['SIGTERM', 'SIGINT', 'SIGHUP'] });
  const refit = compose(placesOf(process.env.REFIT_ROOT ?? process.cwd()));
  // Told now, not as the failure of a step half an hour later.
  await probeStore(refit.objects);
  if (roles.includes('cpu')) void tellHazard(refit);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const control = await Connection.connect(connectionOptions);
  await registerSearchAttributes(control, namespace);
  await control.close();

  const connection = await NativeConnection.connect(connectionOptions);
  const workers: Worker[] = [];
  for (const role of roles) workers.push(await Worker.create(await optionsOf(role, refit, { connection, namespace })));
  // Started by the CLI: when that is gone, nobody waits for us any more.
  process.removeListener('disconnect', leave);
  process.once('disconnect', () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  });
  const running = workers.map((worker) => worker.run());
  process.send?.({ ready: true });
  await Promise.all(running);
  await connection.close();
  // A connection to Redis would keep the process.
  await refit.close();
  if (process.connected) process.disconnect();
}

async function optionsOf(
  role: Role,
  refit: Refit,
  base: Pick<WorkerOptions, 'connection' | 'namespace'>,
): Promise<WorkerOptions> {
  const common: WorkerOptions = {
    ...base,
    ...{ taskQueue: TaskQueue[role], shutdownGraceTime: '2s', shutdownForceTime: '10s' },
    dataConverter: { payloadCodecs: [claimCheck(refit.blobs)] },
  };
  if (role === 'control') {
    const workflowBundle = { codePath: await workflowBundleFile(refit.places.state, cacheFolder) };
    return { ...common, workflowBundle, maxCachedWorkflows: 200 };
  }
  return {
    ...common,
    activities: activitiesOf(role, refit),
    interceptors: { activity: [() => ({ inbound: new ErrorsInterceptor() })] },
    maxConcurrentActivityTaskExecutions: 4,
    // A heartbeat is a hint, but operators look at it: at most a second old.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
  };
}
