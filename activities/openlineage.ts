import { Context } from '@temporalio/activity';
import type { Refit } from '../core/compose/refit.ts';
import { send } from '../core/openlineage/destination.ts';
import { eventOf } from '../core/openlineage/events.ts';
import { gather } from '../core/openlineage/gather.ts';
import type { LineageMoment, LineageRun } from '../core/spec/openlineage.ts';

export type OpenLineageActivities = ReturnType<typeof createOpenLineageActivities>;

/** Tells others what was made from what. */
export function createOpenLineageActivities({ blobs, places, openLineage, version }: Refit) {
  return {
    /** Sends the event of a moment, the same however often it is tried. @returns whether there is a receiver */
    async emitLineage({ run, moment }: { run: LineageRun; moment: LineageMoment }): Promise<boolean> {
      if (!openLineage) return false;
      const { namespace, destination } = openLineage;
      const context = await gather(run, moment, {
        blobs,
        root: places.root,
        scratch: places.state,
        version,
        namespace,
      });
      const { cancellationSignal: signal, info } = Context.current();
      await send(eventOf(run, moment, context), destination, { signal, again: info.attempt > 1 });
      return true;
    },
  };
}
