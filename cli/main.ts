import { openApi } from './profile.ts';
import { run } from './program.ts';

const write = (stream: NodeJS.WriteStream) => (text: string) => {
  stream.write(`${text}\n`);
};

process.exitCode = await run(process.argv.slice(2), {
  openApi,
  now: () => new Date(),
  out: write(process.stdout),
  err: write(process.stderr),
});
