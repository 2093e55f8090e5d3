import { Context } from '@temporalio/activity';
import type { Refit } from '../core/compose/refit.ts';
import { send } from '../core/openlineage/destination.ts';
import { eventOf } from '../core/openlineage/events.ts';
import { gather } from '../core/openlineage/gather.ts';
import type { LineageMoment, LineageRun } from '../core/spec/openlineage.ts';
import { isRefused } from '../core/webhooks/post.ts';

export type OpenLineageActivities = ReturnType<typeof createOpenLineageActivities>;

export interface Refusal {
  /** What the receiver answered, in a sentence. */
  refused: string;
}

/** Tells others what was made from what. */
export function createOpenLineageActivities({ blobs, places, openLineage, version }: Refit) {
  return {
    /**
     * Sends the event of a moment, the same however often it is tried. An event that its receiver will never take is given up, so that
     * later ones are told. @returns whether there is a receiver, and why it refused the event
     */
    async emitLineage({ run, moment }: { run: LineageRun; moment: LineageMoment }): Promise<boolean | Refusal> {
      if (!openLineage) return false;
      const { namespace, destination } = openLineage;
      const context = await gather(run, moment, {
        blobs,
        root: places.root,
        scratch: places.state,
        version,
        namespace,
      });
      const { cancellationSignal: signal, info, log } = Context.current();
      try {
        await send(eventOf(run, moment, context), destination, { signal, again: info.attempt > 1 });
        return true;
      } catch (error) {
        if (!isRefused(error)) throw error;
        const { workflowId } = run;
        log.warn(`An OpenLineage event is given up: ${error.message}`, {
          workflowId,
          event: moment.type,
          stage: moment.stage,
        });
        return { refused: error.message };
      }
    },
  };
}
