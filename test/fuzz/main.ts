// Coverage-guided fuzzing of everything that reads what somebody else wrote.
//
//   npm run fuzz -- [--seconds N] [--target NAME] [--seed N] [--out DIR]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Coverage } from './coverage.ts';
import { fuzz, minimise } from './fuzzer.ts';
import { Random } from './random.ts';
import { TARGETS } from './targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    out: { type: 'string', default: 'fuzz-findings' },
  },
});
const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
if (chosen.length === 0) {
  console.error(
    `there is no target ${values.target}; there are ${TARGETS.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}
const now = () => performance.now();
const milliseconds = (Number(values.seconds) * 1000) / chosen.length;
const coverage = new Coverage();
console.log(`seed ${values.seed}, ${chosen.length} targets, ${(milliseconds / 1000).toFixed(1)} s each`);
let found = 0;
for (const target of chosen) {
  const random = new Random(Number(values.seed));
  const { runs, kept, features, findings } = await fuzz(target, { milliseconds, random, coverage, now });
  const rate = Math.round(runs / (milliseconds / 1000));
  console.log(
    `${target.name.padEnd(20)} ${String(runs).padStart(8)} runs ${String(rate).padStart(7)}/s ${String(features).padStart(6)} blocks ${String(kept).padStart(5)} kept`,
  );
  for (const finding of findings) {
    found += 1;
    mkdirSync(values.out, { recursive: true });
    const file = join(values.out, `${target.name}-${found}`);
    writeFileSync(file, await minimise(finding, target, now));
    console.log(`  FOUND ${finding.problem}\n    ${file}; to keep it: test/fuzz/regressions/${target.name}/`);
  }
}
coverage.close();
console.log(found === 0 ? 'nothing was found' : `${found} found`);
process.exitCode = found === 0 ? 0 : 1;
