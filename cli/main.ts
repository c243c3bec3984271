import { openApi } from './profile.ts';
import { run } from './program.ts';

const write = (stream: NodeJS.WriteStream) => (text: string) => {
  stream.write(`${text}\n`);
};

// Whoever reads our output may have seen enough: `assay node list | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2), {
  openApi,
  now: () => new Date(),
  out: write(process.stdout),
  err: write(process.stderr),
});
