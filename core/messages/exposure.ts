import Type, { type Static } from 'typebox';
import { Instant, NodeId } from './common.ts';

const End = Type.Union([Instant, Type.Literal('open'), Type.Literal('none')], {
  description:
    'At the latest; open: new ones are given as long as things stay as they are; none: there is nothing',
});

/** What a node holds at one SPIRE server, and what hangs on it. */
export const SpireExposure = Type.Object(
  {
    server: Type.String(),
    agentId: Type.String(),
    agent: Type.Union([
      Type.Object({ banned: Type.Boolean(), svidExpiresAt: Instant }),
      Type.Null({ description: 'SPIRE does not know it' }),
    ]),
    bannedSince: Type.Union([Instant, Type.Null()], { description: 'Since when its ban is in force there' }),
    entries: Type.Array(
      Type.Object({
        spiffeId: Type.String(),
        selectors: Type.Array(Type.String()),
        svidTtlSeconds: Type.Integer({ description: "Its own, or the server's default as it is configured" }),
      }),
      { description: 'Below the agent, and below the node aliases whose selectors it has' },
    ),
    clone: Type.Union([Type.Object({ seenAt: Instant, message: Type.String() }), Type.Null()], {
      description: 'When and why two machines seemed to be this agent, the last time (rule id.clone)',
    }),
    agentSvidEnds: End,
    workloadSvidsEnd: End,
    error: Type.Union([Type.String(), Type.Null()], { description: 'Why the server could not be asked' }),
  },
  { title: 'SpireExposure' },
);
export type SpireExposure = Static<typeof SpireExposure>;

/** Issuer's GET /v1/nodes/:id/exposure: what a node still holds, and until when. */
export const Exposure = Type.Object(
  {
    nodeId: NodeId,
    certificateExpiresAt: Type.Union([Instant, Type.Null()], {
      description: 'End of its last certificate, revoked or not: SPIRE reads no CRL',
    }),
    ends: End,
    spire: Type.Array(SpireExposure),
  },
  { title: 'Exposure' },
);
export type Exposure = Static<typeof Exposure>;
