// Waits for a signal and then closes: `quick`, never (`stuck`), or never with a short deadline (`late`).
import { Lifecycle, untilSignal } from '../../../platform/lifecycle.ts';
import { createLogger } from '../../../platform/logging.ts';

const mode = process.argv[2];
const logger = createLogger({ level: 'silent', name: 'test' });
const parts = new Lifecycle(logger);
const alive = setInterval(() => {}, 1000);
parts.own('part', {
  close: () => (mode === 'quick' ? Promise.resolve(clearInterval(alive)) : new Promise<void>(() => {})),
});
setTimeout(() => console.log('ready'), 0);
const signal = await untilSignal(logger, mode === 'late' ? 100 : undefined);
console.log(`closing after ${signal}`);
await parts.close();
console.log('closed');
