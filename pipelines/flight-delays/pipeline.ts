import {
  atLeast,
  betterThanBaseline,
  cyclical,
  definePipeline,
  fields,
  gbdt,
  latest,
  notWorseThanChampion,
  parity,
  parquet,
  slices,
  window,
} from 'refit/spec';

export default definePipeline({
  name: 'flight-delays',
  question: 'Will this flight arrive more than 15 minutes late? Asked one hour before its scheduled departure.',
  asOf: 'latest',

  sources: {
    flights: parquet('data/nycflights13/flights/*.parquet', {
      contract: 'flights.schema.json',
      derive: {
        departs_at: 'time_hour + to_minutes(minute)',
        departed_at: 'departs_at + to_minutes(dep_delay)',
        // The data has no landing time in UTC: taxiing out and in takes about half an hour on top of the time in the air.
        landed_at: 'departed_at + to_minutes(air_time + 30)',
        flight_id: "concat_ws('-', carrier, flight, origin, strftime(departs_at, '%Y%m%d'))",
        sched_minute: 'hour * 60 + minute',
        day_of_week: 'isodow(make_date(year, month, day))',
      },
      eventTime: 'departs_at',
      knownAt: {
        '*': 'departs_at - INTERVAL 30 DAY',
        tailnum: 'departs_at - INTERVAL 1 DAY',
        // Never before the scheduled time, so that a wrong delay cannot make itself known earlier than it was.
        dep_time: 'CASE WHEN departed_at IS NOT NULL THEN greatest(departed_at, departs_at) END',
        dep_delay: 'CASE WHEN departed_at IS NOT NULL THEN greatest(departed_at, departs_at) END',
        arr_time: 'CASE WHEN landed_at IS NOT NULL THEN greatest(landed_at, departed_at, departs_at) END',
        arr_delay: 'CASE WHEN landed_at IS NOT NULL THEN greatest(landed_at, departed_at, departs_at) END',
        air_time: 'CASE WHEN landed_at IS NOT NULL THEN greatest(landed_at, departed_at, departs_at) END',
      },
      recordedAt: 'recorded_at',
      maxBadShare: 0.01,
      freshness: '7d',
    }),
    weather: parquet('data/nycflights13/weather.parquet', {
      contract: 'weather.schema.json',
      eventTime: 'time_hour',
      knownAt: { '*': 'time_hour' },
      recordedAt: 'recorded_at',
      maxBadShare: 0.01,
      freshness: '7d',
    }),
    planes: parquet('data/nycflights13/planes.parquet', { contract: 'planes.schema.json' }),
    airports: parquet('data/nycflights13/airports.parquet', { contract: 'airports.schema.json' }),
  },

  spine: {
    from: 'flights',
    key: ['flight_id'],
    predictAt: 'departs_at - INTERVAL 1 HOUR',
    label: 'arr_delay > 15',
    labelKnownAt: 'landed_at',
  },

  features: [
    fields('flights', [
      'carrier',
      'origin',
      'dest',
      'distance',
      'sched_minute',
      'day_of_week',
      cyclical('sched_minute', 1440, 'time_of_day'),
    ]),
    // Temperature, humidity and pressure tell the season more than the weather, and a season does not come back in a year.
    latest('weather', { by: 'origin', fields: ['wind_speed', 'wind_gust', 'precip', 'visib'], ttl: '6h' }),
    latest('planes', { by: 'tailnum', fields: [{ plane_year: 'year' }, 'seats', 'engine'] }),
    latest('airports', {
      by: { dest: 'faa' },
      fields: [{ dest_lat: 'lat', dest_lon: 'lon', dest_alt: 'alt' }],
    }),
    latest('flights', {
      name: 'plane_last_flight',
      by: 'tailnum',
      on: 'departed_at',
      fields: [{ plane_last_dep_delay: 'dep_delay' }],
      ttl: '12h',
    }),
    window('flights', {
      name: 'origin_departures',
      by: 'origin',
      over: '2h',
      on: 'departed_at',
      aggregate: { origin_mean_dep_delay: 'avg(dep_delay)', origin_departures: 'count(dep_delay)' },
    }),
    window('flights', {
      name: 'carrier_departures',
      by: ['origin', 'carrier'],
      over: '4h',
      on: 'departed_at',
      aggregate: { carrier_mean_dep_delay: 'avg(dep_delay)' },
    }),
    window('flights', {
      name: 'dest_departures',
      by: 'dest',
      over: '4h',
      on: 'departed_at',
      aggregate: { dest_mean_dep_delay: 'avg(dep_delay)' },
    }),
    window('flights', {
      name: 'origin_landings',
      by: 'origin',
      over: '6h',
      on: 'landed_at',
      aggregate: { origin_mean_arr_delay: 'avg(arr_delay)' },
    }),
  ],

  split: { test: '3mo', validate: '1mo', train: { min: '3mo', max: '8mo' } },
  model: gbdt({
    rounds: 300,
    earlyStopping: 30,
    params: { learning_rate: 0.08, num_leaves: 31, min_data_in_leaf: 200, feature_fraction: 0.7, lambda_l2: 1 },
  }),
  search: {
    trials: 4,
    batch: 2,
    rounds: 60,
    rowShare: 0.5,
    space: {
      num_leaves: { min: 15, max: 63, log: true, int: true },
      min_data_in_leaf: { min: 50, max: 800, log: true, int: true },
      feature_fraction: { min: 0.4, max: 1 },
      lambda_l2: { min: 0.1, max: 20, log: true },
    },
  },
  gates: [
    atLeast('auc', 0.68),
    betterThanBaseline('logLoss'),
    notWorseThanChampion('logLoss', { tolerance: 0.002 }),
    slices(['origin', 'carrier'], { minRows: 500 }),
    parity(1e-5),
  ],
  drift: { window: '30d', psi: 0.2 },
  promote: { approval: 'none' },
});
