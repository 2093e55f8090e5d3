import { Context } from '@temporalio/activity';
import type { Refit } from '../core/compose/refit.ts';
import type { RunEvent } from '../core/spec/activities.ts';
import { deliver } from '../core/webhooks/webhook.ts';

export type AnnounceActivities = ReturnType<typeof createAnnounceActivities>;

/** Tells others what became of a run. */
export function createAnnounceActivities({ webhook }: Refit) {
  return {
    /** Sends the event to the webhook. @returns whether there is one. */
    async announce(event: RunEvent): Promise<boolean> {
      if (webhook) await deliver(event, webhook, Context.current().cancellationSignal);
      return webhook !== undefined;
    },
  };
}
