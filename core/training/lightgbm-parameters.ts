/**
 * Which of LightGBM's parameters a pipeline may set. What Refit sets itself, what would make a result depend on something
 * outside the step's input (files, devices, other machines) and what chunked training or the ONNX graph cannot carry is
 * refused by name, instead of being ignored or believed.
 */
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';

export type Parameters = Record<string, number | boolean | string>;

/** Canonical name → who sets it instead. */
const OWNED: Record<string, string> = {
  num_iterations: 'model.rounds',
  early_stopping_round: 'model.earlyStopping',
  early_stopping_min_delta: 'model.earlyStopping',
  objective: 'model.objective',
  metric: 'model.objective',
  num_class: 'model.objective',
  seed: 'model.seed',
  categorical_feature: 'the kind of each feature',
  num_threads: 'the worker',
  device_type: 'model.resources',
};
for (const name of [
  'bagging_seed',
  'feature_fraction_seed',
  'extra_seed',
  'objective_seed',
  'drop_seed',
  'data_random_seed',
]) {
  OWNED[name] = 'model.seed';
}
for (const name of [
  'deterministic',
  'force_row_wise',
  'force_col_wise',
  'verbosity',
  'output_model',
  'input_model',
  'task',
]) {
  OWNED[name] = 'Refit itself';
}

const ALLOWED = new Set(
  `learning_rate num_leaves max_depth min_data_in_leaf min_sum_hessian_in_leaf bagging_fraction pos_bagging_fraction
  neg_bagging_fraction bagging_freq feature_fraction feature_fraction_bynode extra_trees max_delta_step lambda_l1 lambda_l2
  min_gain_to_split min_data_per_group max_cat_threshold cat_l2 cat_smooth max_cat_to_onehot monotone_constraints
  monotone_constraints_method monotone_penalty feature_contri path_smooth interaction_constraints max_bin max_bin_by_feature
  min_data_in_bin bin_construct_sample_cnt is_enable_sparse enable_bundle use_missing feature_pre_filter is_unbalance
  scale_pos_weight boost_from_average histogram_pool_size`.split(/\s+/),
);

/** Parameters that may be set, but to these values only. */
const ONLY: Record<string, string[]> = { boosting: ['gbdt', 'gbrt'], data_sample_strategy: ['bagging'] };

/**
 * Checks a pipeline's parameters against what LightGBM knows (`LightGbm.parameters()`) and writes them as LightGBM reads them,
 * sorted: `{ num_leaves: 31, lambda: 1 }` → `lambda_l2=1 num_leaves=31`.
 * @throws RefitError REFIT_MODEL_UNSUPPORTED naming the parameter
 */
export function formatParameters(parameters: Parameters, known: ReadonlyMap<string, readonly string[]>): string {
  const canonical = new Map(
    [...known].flatMap(([name, aliases]) => [name, ...aliases].map((alias) => [alias, name] as const)),
  );
  const given = new Map<string, string>();
  for (const [name, value] of Object.entries(parameters)) {
    const real = canonical.get(name);
    if (real === undefined)
      throw refused(name, `LightGBM has no parameter "${name}"${nearest(name, [...canonical.keys()])}.`);
    const alike = given.get(real);
    if (alike !== undefined)
      throw refused(name, `The parameter "${name}" is the same as "${alike}": give one of them.`);
    checkOne(name, real, value);
    given.set(real, name);
  }
  const assignments = [...given].map(([real, name]) => `${real}=${String(parameters[name])}`);
  return assignments.sort().join(' ');
}

function checkOne(name: string, real: string, value: number | boolean | string): void {
  const owner = OWNED[real];
  if (owner) throw refused(name, `The parameter "${name}" is not set in model.params: it comes from ${owner}.`);
  const only = ONLY[real];
  if (only && !only.includes(String(value))) {
    const why = 'chunked training cannot resume it';
    throw refused(name, `The parameter "${name}" must not be "${String(value)}": ${why}; use "${only[0]}".`);
  }
  if (!only && !ALLOWED.has(real)) throw refused(name, `The parameter "${name}" of LightGBM is not supported here.`);
  if (typeof value === 'number' && !Number.isFinite(value))
    throw refused(name, `The parameter "${name}" must be a finite number.`);
  if (typeof value === 'string' && !/^[^\s=#]+$/.test(value)) {
    throw refused(name, `The parameter "${name}" must be one word without spaces, "=" and "#".`);
  }
}

function refused(parameter: string, message: string): RefitError {
  return new RefitError('REFIT_MODEL_UNSUPPORTED', message, { parameter });
}
