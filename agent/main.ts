import { runAgentProgram } from './program.ts';

process.exitCode = await runAgentProgram(process.argv.slice(2));
