import type { Database } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import type { ResultSigner } from '../../platform/results/signer.ts';
import type { PolicySigners } from '../../policies/language/signed.ts';
import type { EventFeed } from '../event-feed.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';

/** What the verifier's routes work with. */
export interface RoutesDeps {
  readonly database: Database;
  /** Of this service, as others reach it. */
  readonly url: string;
  readonly events: EventFeed;
  readonly webhooks: Webhooks;
  /** Has an agent told that its trust has ended; never rejects. */
  readonly notify: (nodeId: string, epoch: number) => Promise<void>;
  /** How long a person waits for a verdict that was asked for. */
  readonly attestTimeoutMs: number;
  readonly logger: Logger;
  readonly policySigners: PolicySigners;
  /** Absent in an installation that has no key for it. */
  readonly resultSigner?: ResultSigner | undefined;
}
