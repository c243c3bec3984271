import type { LogEvent, LogWarning } from './event.ts';
import { EV } from './event-type.ts';

const SIGNATURE = 'StartupLocality\0';
const EVENT_BYTES = SIGNATURE.length + 1;
// TPM 2.0 PC Client Platform TPM Profile, 4.6.2: TPM2_Startup comes from locality 0 or 3; 4 is an H-CRTM.
const LOCALITIES = new Set([0, 3, 4]);
const HCRTM_LOCALITY = 4;

/** What PCR 0 starts with: its last byte (TPM 2.0 Library, Part 1, 34.4; PC Client Platform Firmware Profile, 10.4.5.3). */
export interface StartupLocality {
  readonly locality: number;
  /** Index of the event that says so. */
  readonly event: number | undefined;
}

// Well formed or not.
function isStartupLocality(event: LogEvent): boolean {
  if (event.type !== EV.NO_ACTION || event.data.length < SIGNATURE.length) return false;
  for (let i = 0; i < SIGNATURE.length; i++) if (event.data[i] !== SIGNATURE.charCodeAt(i)) return false;
  return true;
}

/**
 * The locality that a log claims: of its first well-formed StartupLocality event, else 4 where a H-CRTM was measured,
 * else 0. A wrong claim makes PCR 0 unexplained, so this needs no proof of its own.
 */
export function startupLocality(events: readonly LogEvent[]): StartupLocality {
  const said = events.find((event) => problemOf(event) === undefined && isStartupLocality(event));
  if (said !== undefined) return { locality: said.data[SIGNATURE.length] ?? 0, event: said.index };
  const hcrtm = events.find((event) => event.type === EV.EFI_HCRTM_EVENT && event.pcr === 0);
  return { locality: hcrtm === undefined ? 0 : HCRTM_LOCALITY, event: hcrtm?.index };
}

/** What is odd about the StartupLocality events of a log. */
export function localityWarnings(events: readonly LogEvent[]): readonly LogWarning[] {
  const warnings: LogWarning[] = [];
  const warn = (event: LogEvent, message: string) =>
    warnings.push({ code: 'locality', offset: event.offset, message: `StartupLocality ${message}` });
  let seen = false;
  let extended = false;
  for (const event of events) {
    if (event.pcr === 0 && event.type !== EV.NO_ACTION) extended = true;
    if (!isStartupLocality(event)) continue;
    const problem = problemOf(event);
    if (problem !== undefined) warn(event, problem);
    else if (seen) warn(event, 'is there again, the first one counts');
    else if (extended) warn(event, 'comes after PCR 0 was extended');
    seen ||= problem === undefined;
    if (warnings.length >= 10) break;
  }
  return warnings;
}

function problemOf({ pcr, data }: LogEvent): string | undefined {
  if (pcr !== 0) return `names PCR ${pcr}, not 0, and is ignored`;
  if (data.length !== EVENT_BYTES) return `has ${data.length} bytes, not ${EVENT_BYTES}, and is ignored`;
  const locality = data[SIGNATURE.length] ?? 0;
  return LOCALITIES.has(locality) ? undefined : `is ${locality}, not 0, 3 or 4, and is ignored`;
}
