import { expect, test } from 'vitest';
import { visibilityQuery } from '../../client/list.ts';

test('a filter becomes conditions on the search attributes', () => {
  expect(visibilityQuery({})).toBe("WorkflowType = 'trainPipeline'");
  expect(
    visibilityQuery({
      pipeline: 'flight-delays',
      model: 'm',
      version: 3,
      stage: 'train',
      status: 'cancelled',
      limit: 5,
    }),
  ).toBe(
    "WorkflowType = 'trainPipeline' AND RefitPipeline = 'flight-delays' AND RefitModel = 'm' AND RefitVersion = '3'" +
      " AND RefitStage = 'train' AND ExecutionStatus = 'Canceled'",
  );
});

test('a value cannot leave its quotes', () => {
  expect(visibilityQuery({ pipeline: "a' OR WorkflowType = 'x" })).toBe(
    "WorkflowType = 'trainPipeline' AND RefitPipeline = 'a\\' OR WorkflowType = \\'x'",
  );
  expect(visibilityQuery({ trigger: "\\'" })).toBe("WorkflowType = 'trainPipeline' AND RefitTrigger = '\\\\\\''");
});

test('an unknown status is refused with the nearest one', () => {
  expect(() => visibilityQuery({ status: 'canceled' as 'cancelled' })).toThrow('(did you mean "cancelled"?)');
});
