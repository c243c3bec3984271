const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The form of a duration in configuration and policies: a whole number and a unit, such as `30s`. */
export const DURATION_PATTERN = '^[0-9]{1,9}(ms|s|m|h|d)$';

/**
 * Milliseconds of a text such as `500ms`, `30s`, `5m`, `1h` or `7d`.
 *
 * @throws {RangeError} for any other form
 */
export function parseDuration(text: string): number {
  const match = /^([0-9]{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  if (!match || unit === undefined) throw new RangeError(`"${text}" is not a duration such as 30s, 5m or 1h`);
  return Number(match[1]) * unit;
}
