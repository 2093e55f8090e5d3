import { ApplicationFailure } from '@temporalio/common';
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';
import type { PersonsDecision } from '../core/spec/run.ts';
import type { Story } from './story.ts';

export const approveUpdate = defineUpdate<Spoken, [PersonsDecision]>('approve');
export const rejectUpdate = defineUpdate<Spoken, [PersonsDecision]>('reject');

/** What was said about a version that waited for it. */
export interface Spoken extends PersonsDecision {
  version: number;
  action: 'approve' | 'reject';
}

interface Waiting {
  version: number;
  until: string;
  onTimeout: 'reject' | 'promote';
}

/** The desk where people approve and reject: open from the start of a run, it says why when there is nothing to decide. */
export class Approval {
  readonly #story: Story;
  #waiting: Waiting | undefined;
  #spoken: Spoken | undefined;

  constructor(story: Story) {
    this.#story = story;
    for (const [update, action] of [
      [approveUpdate, 'approve'],
      [rejectUpdate, 'reject'],
    ] as const) {
      const speak = ({ by, reason }: PersonsDecision): Spoken => {
        const { version } = this.#waiting as Waiting;
        this.#spoken = { version, action, by: by.trim(), reason: reason.trim() };
        return this.#spoken;
      };
      setHandler(update, speak, { validator: (said) => this.#validate(said) });
    }
  }

  /** Waits for a person, or for the time that is set for one. */
  async wait(waiting: Waiting): Promise<Spoken> {
    this.#waiting = waiting;
    this.#spoken = undefined;
    this.#story.waitFor(waiting.version, waiting.until);
    const milliseconds = Math.max(1, Date.parse(waiting.until) - Date.now());
    try {
      await condition(() => this.#spoken !== undefined, milliseconds);
    } finally {
      this.#waiting = undefined;
      this.#story.goOn();
    }
    return this.#spoken ?? silence(waiting);
  }

  /** @throws ApplicationFailure REFIT_NOT_WAITING, REFIT_USAGE: the update is refused and leaves no trace in the run. */
  #validate(said: unknown): void {
    if (!this.#waiting || this.#spoken) {
      const { action, by } = this.#spoken ?? {};
      const why = by ? `it was ${action === 'approve' ? 'approved' : 'rejected'} by ${by} just now` : 'none waits';
      throw ApplicationFailure.nonRetryable(
        `There is no version to decide on in this run: ${why}.`,
        'REFIT_NOT_WAITING',
      );
    }
    const { by, reason } = (said ?? {}) as Partial<Record<string, unknown>>;
    for (const [name, value] of Object.entries({ by, reason })) {
      if (typeof value === 'string' && value.trim() !== '') continue;
      throw ApplicationFailure.nonRetryable(
        `A decision needs ${name === 'by' ? 'a name' : 'a reason'}: {"by": "your name", "reason": "why"}.`,
        'REFIT_USAGE',
      );
    }
  }
}

function silence({ version, until, onTimeout }: Waiting): Spoken {
  const action = onTimeout === 'promote' ? 'approve' : 'reject';
  return { version, action, by: 'rule', reason: `nobody decided by ${until}` };
}
