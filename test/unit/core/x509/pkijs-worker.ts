import { parentPort, workerData } from 'node:worker_threads';
import { askPkijs } from './pkijs.ts';

parentPort?.postMessage(await askPkijs(workerData));
