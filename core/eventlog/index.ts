/** The boot event log: what is read, replayed and proven (docs/evidence.md). Types are in the files of their functions. */
export { parseCelLog } from './cel.ts';
export { recordContent } from './cel-content.ts';
export { eventContent } from './content/content.ts';
export { loadOptionsDigest } from './content/load-options.ts';
export { EVENT_TAG } from './content/tagged.ts';
export { windowsEvents } from './content/windows.ts';
export { describeContent } from './describe.ts';
export { filePathOf, parseDevicePath, renderDevicePath } from './efi/device-path.ts';
export { VENDOR } from './efi/guid.ts';
export { signatureCertificate } from './efi/signature-list.ts';
export { authorityValue, variableValue } from './efi/variable-value.ts';
export { eventDigest, type LogEvent } from './event.ts';
export { EV } from './event-type.ts';
export { explainPcrs } from './explain.ts';
export { type InspectedEvent, type InspectedEventLog, inspectEventLog } from './inspect.ts';
export { parseEventLog } from './parse.ts';
export { registerName, tdxRegisterOf } from './registers.ts';
export { replayEventLog, replayLogs } from './replay.ts';
