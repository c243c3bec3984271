import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../../core/duration.ts';
import { AssayError } from '../../core/errors.ts';
import { GroupName } from '../../core/messages/common.ts';
import { TrustEvent } from '../../core/messages/node.ts';
import { readPrivateFile } from '../../platform/pki/key-file.ts';
import { parseSecret } from './signature.ts';

const Text = Type.String({ minLength: 1 });

/** Where changes of trust are sent. */
export const WebhookSection = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$' }),
    url: Type.String({ pattern: '^https?://[^\\s]+$' }),
    'secret-files': Type.Array(Text, {
      minItems: 1,
      maxItems: 3,
      description: 'Each holds whsec_ and base64; every message is signed with all of them',
    }),
    events: Type.Optional(Type.Array(TrustEvent.properties.kind, { minItems: 1, uniqueItems: true })),
    groups: Type.Optional(Type.Array(GroupName, { minItems: 1, uniqueItems: true })),
    ca: Type.Optional(Type.String({ minLength: 1, description: 'PEM of what its certificate leads to' })),
    timeout: Type.Optional(Type.String({ pattern: DURATION_PATTERN })),
  },
  { additionalProperties: false },
);
type WebhookSection = Static<typeof WebhookSection>;

export interface Webhook {
  readonly name: string;
  readonly url: URL;
  readonly keys: readonly Uint8Array[];
  /** Absent: all. */
  readonly kinds: ReadonlySet<string> | undefined;
  readonly groups: ReadonlySet<string> | undefined;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

/** @param directory what paths are relative to @throws {AssayError} `invalid-config` */
export async function openWebhooks(
  sections: readonly WebhookSection[],
  directory: string,
): Promise<readonly Webhook[]> {
  if (new Set(sections.map(({ name }) => name)).size < sections.length)
    throw new AssayError('invalid-config', 'verifier.webhooks: two of them have one name');
  return Promise.all(sections.map((section) => open(section, directory)));
}

async function open(section: WebhookSection, directory: string): Promise<Webhook> {
  const { name, events, groups, ca, timeout = '10s' } = section;
  const where = `verifier.webhooks ${name}`;
  const keys = section['secret-files'].map(async (file) => {
    const path = resolve(directory, file);
    return parseSecret(await readPrivateFile(path), `${where}: ${path}`);
  });
  return {
    name,
    url: parseUrl(section.url, where),
    keys: await Promise.all(keys),
    kinds: events && new Set(events),
    groups: groups && new Set(groups),
    ca: ca === undefined ? undefined : readCa(resolve(directory, ca), where),
    timeoutMs: parseDuration(timeout),
  };
}

// What is wrong is said without the URL, in which path and query may be secrets.
function parseUrl(text: string, where: string): URL {
  const refuse = (problem: string) => new AssayError('invalid-config', `${where}: ${problem}`);
  const url = URL.parse(text);
  if (!url) throw refuse('its url is no URL');
  if (url.username || url.password)
    throw refuse('its url has a user or a password, which are not sent: messages are signed');
  if (url.protocol === 'https:' || isLoopback(url.hostname)) return url;
  throw refuse(`${url.origin} is not https, and not on this machine`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

function readCa(file: string, where: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AssayError('invalid-config', `${where}: cannot read ${file}`, { cause });
  }
}
