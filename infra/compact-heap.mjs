// Preloaded by programs that stay: when work is over (starting counts as work), what it left is given back at once. An idle
// process would keep it until it has work again: 10 to 40 MB after a start, 100 MB and more after a run.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const LOOK_MS = 3_000;
/** More CPU time than this between two looks (5 % of one core) is work. */
const BUSY_US = LOOK_MS * 50;

let before = process.cpuUsage();
let wasBusy = true;

setInterval(() => {
  const { user, system } = process.cpuUsage(before);
  const busy = user + system > BUSY_US;
  if (wasBusy && !busy) collect();
  wasBusy = busy;
  before = process.cpuUsage();
}, LOOK_MS).unref();

function collect() {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}
