import type { Api } from './api.ts';

/** What a command gets: nothing here is global, so a command can be run against anything in a test. */
export interface CommandContext {
  /** The services, with the credential of the chosen profile; opened on first use. */
  readonly api: () => Promise<Api>;
  /** True with `--json`: stdout holds one JSON value and nothing else. */
  readonly json: boolean;
  readonly now: () => Date;
  readonly out: (text: string) => void;
  /** Hints and progress, on stderr. */
  readonly note: (text: string) => void;
}

/** Shows an answer: as JSON for programs, otherwise as `render` says. */
export function show<T>(context: CommandContext, value: T, render: (value: T) => string): void {
  context.out(context.json ? JSON.stringify(value, null, 2) : render(value));
}
