/** The words of a command line. */
export interface KernelWords {
  /** As Linux takes them (next_arg): up to `--`, behind which they are init's. */
  readonly parameters: readonly string[];
  /** Every text in it that anybody could take for a word: with quotes and without, behind `--` as well. */
  readonly any: readonly string[];
}

/**
 * Splits a command line as Linux does: at white space outside of quotes; a quote before a word or a value, and its other
 * half at the end, are not part of it.
 */
export function kernelWords(text: string): KernelWords {
  const words = split(text).map(unquote);
  const end = words.indexOf('--');
  const bare = text.replaceAll('"', '').split(/\s+/);
  return {
    parameters: end < 0 ? words : words.slice(0, end),
    any: [...new Set([...words, ...bare])].filter((word) => word !== ''),
  };
}

/** Linux takes `-` for `_` in the name of a parameter. */
export function parameterForm(word: string): string {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  return name.replaceAll('-', '_') + word.slice(name.length);
}

function split(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let isQuoted = false;
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted;
    if (isQuoted || !/\s/.test(character)) {
      word += character;
      continue;
    }
    if (word !== '') words.push(word);
    word = '';
  }
  return word === '' ? words : [...words, word];
}

function unquote(word: string): string {
  const equals = word.indexOf('=');
  const opens = word.startsWith('"') ? 0 : equals >= 0 && word[equals + 1] === '"' ? equals + 1 : -1;
  if (opens < 0) return word;
  const rest = word.slice(0, opens) + word.slice(opens + 1);
  return rest.endsWith('"') ? rest.slice(0, -1) : rest;
}
