import { ParseError } from '../../errors.ts';
import type { HashName } from '../../tpm/constants.ts';
import type { LogEvent } from '../event.ts';
import { EV } from '../event-type.ts';
import { iplContent, plainContent } from './boot-text.ts';
import { Coverage } from './coverage.ts';
import {
  bytesContent,
  code2Content,
  codeContent,
  gptContent,
  handoff2Content,
  handoffContent,
  imageContent,
  separatorContent,
  versionContent,
} from './firmware.ts';
import { parseTaggedEvents } from './tagged.ts';
import type { EventContent } from './types.ts';
import { authorityContent, bootVariableContent, variableContent } from './variables.ts';

type Rule = (coverage: Coverage) => EventContent;

const external: Rule = (coverage) => bytesContent(coverage, 'external');
const action: Rule = (coverage) => plainContent(coverage, 'data');
const externalText: Rule = (coverage) => plainContent(coverage, 'external');

const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [EV.NO_ACTION, noActionContent],
  [EV.SEPARATOR, separatorContent],
  [EV.ACTION, action],
  [EV.EFI_ACTION, action],
  [EV.OMIT_BOOT_DEVICE_EVENTS, action],
  [EV.EVENT_TAG, tagContent],
  [EV.IPL, iplContent],
  [EV.COMPACT_HASH, externalText],
  [EV.EFI_HCRTM_EVENT, externalText],
  [EV.POST_CODE, codeContent],
  [EV.S_CRTM_CONTENTS, codeContent],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB, codeContent],
  [EV.POST_CODE2, code2Content],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB2, code2Content],
  [EV.S_CRTM_VERSION, versionContent],
  [EV.EFI_VARIABLE_DRIVER_CONFIG, variableContent],
  [EV.EFI_VARIABLE_BOOT2, variableContent],
  [EV.EFI_VARIABLE_BOOT, bootVariableContent],
  [EV.EFI_VARIABLE_AUTHORITY, authorityContent],
  [EV.EFI_BOOT_SERVICES_APPLICATION, imageContent],
  [EV.EFI_BOOT_SERVICES_DRIVER, imageContent],
  [EV.EFI_RUNTIME_SERVICES_DRIVER, imageContent],
  [EV.EFI_GPT_EVENT, gptContent],
  [EV.EFI_GPT_EVENT2, gptContent],
  [EV.EFI_HANDOFF_TABLES, handoffContent],
  [EV.EFI_HANDOFF_TABLES2, handoff2Content],
]);

/**
 * What an event says, and what of it the event's digest in `bank` covers by the rule of its type: only `proven` may
 * decide anything, and only after the register of the event was found to replay to the quoted value. Never throws:
 * data that does not have the form of its type comes back as unverified bytes.
 */
export function eventContent(event: LogEvent, bank: HashName): EventContent {
  const coverage = new Coverage(event, bank);
  try {
    return (RULES.get(event.type) ?? external)(coverage);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const { data } = event;
    const covers = coverage.of(data) ? 'data' : 'external';
    return { kind: 'bytes', verified: false, covers, why: 'malformed', unverified: { data } };
  }
}

/** EV_EVENT_TAG: the digest is of the data, or of the data of its one tag; else of what the tag names. */
function tagContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const tags = parseTaggedEvents(data, dataOffset);
  if (coverage.of(data)) {
    return { kind: 'tags', verified: true, covers: 'data', proven: tags, unverified: undefined };
  }
  const [first, second] = tags;
  if (first !== undefined && second === undefined && coverage.of(first.taggedEventData)) {
    const { taggedEventId, taggedEventData } = first;
    return {
      kind: 'tag-data',
      verified: true,
      covers: 'tagged-data',
      proven: { data: taggedEventData },
      unverified: { taggedEventId },
    };
  }
  return { kind: 'tags', ...coverage.unverified('external'), unverified: tags };
}

const SIGNATURE_BYTES = 16;

function noActionContent(coverage: Coverage): EventContent {
  const { data } = coverage.event;
  const [signature = ''] = String.fromCharCode(...data.subarray(0, SIGNATURE_BYTES)).split('\0', 1);
  const text = /^[\x20-\x7e]*$/.test(signature) ? signature : '';
  return { kind: 'no-action', ...coverage.unverified('none'), unverified: { signature: text, data } };
}
