/** Shapes of what the gateway takes and gives; they are checked at run time and make up `/openapi.json`. */
import type { Static } from 'typebox';
import Type from 'typebox';

export const PredictRequest = Type.Object(
  {
    instances: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      minItems: 1,
      description:
        "Each names an entity by the pipeline's keys, or brings the model's inputs by name (what is left out or null is missing), or both: inputs that come along take the place of the entity's own.",
    }),
    asOf: Type.Optional(
      Type.String({
        description:
          'Time (ISO, UTC) at which the features of entities are asked for; not before the time they were materialised for. Default: the clock, or for a pipeline that follows its data (asOf: latest) the end of that data.',
      }),
    ),
  },
  {
    additionalProperties: false,
    examples: [{ instances: [{ flight_id: 'AA-1-JFK-20140101' }] }, { instances: [{ distance: 2475 }] }],
  },
);
export type PredictRequest = Static<typeof PredictRequest>;

export const PredictResponse = Type.Object({
  model: Type.String(),
  version: Type.Integer(),
  /** In the order of the instances. */
  predictions: Type.Array(
    Type.Object({
      score: Type.Number({ minimum: 0, maximum: 1, description: 'Probability of the label.' }),
      label: Type.Boolean({ description: 'Whether the score is 0.5 or more.' }),
    }),
  ),
  latencyMs: Type.Number({ description: 'From the request to its answer, inside the gateway.' }),
});
export type PredictResponse = Static<typeof PredictResponse>;

export const ErrorResponse = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'As in docs/errors.md.' }),
      message: Type.String(),
      cure: Type.String(),
      details: Type.Record(Type.String(), Type.Unknown()),
    }),
  },
  { description: 'What went wrong, in one sentence, and what to do about it.' },
);

export const ModelSummary = Type.Object({
  model: Type.String(),
  version: Type.Integer(),
  asOf: Type.String({ description: 'Date as of which the version was trained.' }),
  question: Type.String({ description: 'What the model answers.' }),
});

export const ModelInformation = Type.Object({
  ...ModelSummary.properties,
  trainer: Type.String(),
  keys: Type.Array(Type.String(), { description: 'Columns that name an entity.' }),
  inputs: Type.Array(
    Type.Object({ name: Type.String(), kind: Type.String({ description: 'number or category' }), view: Type.String() }),
  ),
  metrics: Type.Unknown({ description: 'Quality on the test period.' }),
  sha256: Type.String({ description: 'Of model.onnx.' }),
  instance: Type.Unknown({ description: 'JSON Schema of one instance.' }),
});

export const Health = Type.Object({
  status: Type.Enum(['ok', 'draining']),
  models: Type.Integer({ description: 'How many can be asked.' }),
});

export const ModelParams = Type.Object({ model: Type.String() });
export type ModelParams = Static<typeof ModelParams>;
