import { describe, expectTypeOf, test } from 'vitest';
import type { Pipeline, RefitClient, RunRequest, RunResult, Settings } from '../../client/index.ts';

interface Pipelines {
  'flight-delays': Pipeline;
  churn: { set: { 'model.rounds'?: number }; result: { model: { name: 'churn' } } };
  // A declaration itself may stand here, too: `typeof import('./pipelines/…/pipeline.ts').default`.
  declared: { name: string; question: string };
}

// `npm run check` compiles this file: an expectation of an error that does not come is an error.
describe('what the compiler knows', () => {
  type Request = Parameters<RefitClient<Pipelines>['start']>[0];

  test('names', () => {
    expectTypeOf<Request['pipeline']>().toEqualTypeOf<'flight-delays' | 'churn' | 'declared'>();
    expectTypeOf<RunRequest['pipeline']>().toEqualTypeOf<string>();
    // @ts-expect-error no such pipeline
    ({ pipeline: 'flight-delay' }) satisfies RunRequest<Pipelines>;
  });

  test('settings by path, with the type of their place', () => {
    ({
      'model.rounds': 400,
      'model.trainer': 'logistic',
      'model.params.learning_rate': 0.1,
      'search.space.num_leaves.max': 63,
      'gates.0.limit': 0.7,
      'gates.3.columns.0': 'origin',
      'split.train.max': '8mo',
      'promote.approval': 'required',
    }) satisfies Settings;
    // @ts-expect-error no such path
    ({ 'modle.rounds': 400 }) satisfies Settings;
    // @ts-expect-error no text
    ({ 'model.rounds': '400' }) satisfies Settings;
    // @ts-expect-error no such trainer
    ({ 'model.trainer': 'forest' }) satisfies Settings;

    ({ pipeline: 'churn', set: { 'model.rounds': 4 } }) satisfies RunRequest<Pipelines, 'churn'>;
    // @ts-expect-error churn lets callers change its rounds only
    ({ pipeline: 'churn', set: { 'split.test': '1mo' } }) satisfies RunRequest<Pipelines, 'churn'>;
    ({ pipeline: 'declared', set: { 'split.test': '1mo' } }) satisfies RunRequest<Pipelines, 'declared'>;
    ({ pipeline: 'any', set: { whatever: 1 } }) satisfies RunRequest;
  });

  test('results', () => {
    const run = (client: RefitClient<Pipelines>) => client.run({ pipeline: 'churn' });
    type Churn = Awaited<ReturnType<typeof run>>;
    expectTypeOf<Churn['pipeline']>().toEqualTypeOf<'churn'>();
    expectTypeOf<Churn['model']['name']>().toEqualTypeOf<'churn'>();
    expectTypeOf<Churn>().toExtend<RunResult>();
    expectTypeOf<Churn['verdict']>().toEqualTypeOf<'promoted' | 'unchanged' | 'rejected'>();
  });
});
