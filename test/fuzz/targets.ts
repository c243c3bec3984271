import type { FuzzTarget } from './fuzzer.ts';
import { ARCHIVE_TARGETS } from './targets/archives.ts';
import { DOCUMENT_TARGETS } from './targets/documents.ts';
import { JUDGEMENT_TARGETS } from './targets/judgement.ts';
import { LOG_TARGETS } from './targets/logs.ts';
import { MESSAGE_TARGETS } from './targets/messages.ts';
import { TPM_TARGETS } from './targets/tpm.ts';

/** Everything that reads what somebody else wrote, and what judges it. */
export const TARGETS: readonly FuzzTarget[] = [
  ...TPM_TARGETS,
  ...LOG_TARGETS,
  ...MESSAGE_TARGETS,
  ...DOCUMENT_TARGETS,
  ...ARCHIVE_TARGETS,
  ...JUDGEMENT_TARGETS,
];
