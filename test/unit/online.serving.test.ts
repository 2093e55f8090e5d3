import { onlineServing } from '../conformance/online-serving.ts';

onlineServing('LMDB', async (bench) => bench.openStore(), 4);
