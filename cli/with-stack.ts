import { RefitClient } from '../client/index.ts';
import { compose, type Places, placesOf, type Refit } from '../core/compose/refit.ts';
import { projectRoot } from './project.ts';
import { openStack, type Stack } from './stack.ts';

/** What a command about runs works with. */
export interface Desk {
  places: Places;
  stack: Stack;
  client: RefitClient;
}

/** Hands the stack of this project to `work`, and lets go of it whatever happens; `workers: false` for who only looks. */
export async function withStack<T>(work: (desk: Desk) => Promise<T>, options: { workers?: boolean } = {}): Promise<T> {
  const places = placesOf(projectRoot());
  const stack = await openStack(places, options);
  try {
    return await work({ places, stack, client: new RefitClient(stack.client) });
  } finally {
    await stack.close();
  }
}

/** Hands the stores of this project to `work`; no server is needed. */
export async function withStore<T>(work: (refit: Refit) => Promise<T>): Promise<T> {
  const refit = compose(placesOf(projectRoot()));
  try {
    return await work(refit);
  } finally {
    await refit.close();
  }
}

/** The result of a command: one JSON value, or text for people. */
export function print(value: unknown, json: boolean | undefined, text: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text()}\n`);
}
