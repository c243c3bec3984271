import { randomBytes, randomUUID } from 'node:crypto';
import { fromBase64, toBase64 } from '../../../core/bytes/encoding.ts';
import { enrolmentProof } from '../../../core/messages/enrolment.ts';
import type { Database } from '../../../platform/database/index.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import type { RegistrarConfig } from '../../../registrar/config.ts';
import { startRegistrar } from '../../../registrar/main.ts';
import { silent } from '../support/database.ts';
import { type Answer, client, testServiceCa, textAt } from './http.ts';
import { enrolmentRequest, openBlob, type SoftwareNode } from './software-node.ts';

export type Client = ReturnType<typeof client>;
export type Running = Awaited<ReturnType<typeof runRegistrar>>;

/** A registrar on loopback, with clients of every role. */
export async function runRegistrar(
  database: Database,
  config: Partial<RegistrarConfig> = {},
  clock: () => Date = () => new Date(),
) {
  const ca = await testServiceCa();
  const server = await ca.server();
  const url = 'https://registrar.test:8891';
  const registrar = await startRegistrar({
    config: { listen: '127.0.0.1:0', url, 'keylime-http': '127.0.0.1:0', ...config },
    database,
    logger: silent,
    metrics: createMetrics(false),
    tls: { ...server, clientCa: ca.pem },
    discovery: {
      trustDomain: 'example.org',
      nodesDomain: 'nodes.example.org',
      registrar: url,
      verifier: 'https://verifier.test:8881',
      issuer: 'https://issuer.test:8882',
    },
    clock,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    newId: randomUUID,
  });
  const clients: Client[] = [];
  const connect = (identity?: Parameters<typeof client>[2]): Client => {
    const made = client(registrar.url, ca.pem, identity);
    clients.push(made);
    return made;
  };
  const role = async (name: string, subject: string) => connect(await ca.role(name, subject));
  return {
    registrar,
    ca,
    connect,
    anonymous: connect(),
    admin: await role('role:admin', 'ann'),
    viewer: await role('role:viewer', 'vic'),
    verifier: await role('service:verifier', 'verifier'),
    of: (node: SoftwareNode) => connect(node.tls),
    async close() {
      await Promise.all(clients.map((one) => one.close()));
      await registrar.close();
    },
  };
}

/** Both steps of an enrolment, as our agent does them; the answer to the second, or a refusal of the first. */
export async function enrolOver(running: Running, node: SoftwareNode, token?: string): Promise<Answer> {
  const request = enrolmentRequest(node, token);
  const own = running.of(node);
  const challenge = await own.call('POST', '/v1/enrolments', request);
  if (challenge.status !== 201) return challenge;
  const secret = openBlob(node, fromBase64(textAt(challenge, 'credential'), 'credential'));
  const proof = toBase64(enrolmentProof(secret, request));
  return own.call('POST', `/v1/enrolments/${textAt(challenge, 'id')}/activation`, { proof });
}
