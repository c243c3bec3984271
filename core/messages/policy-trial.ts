import Type, { type Static } from 'typebox';
import { Finding, NodeId } from './common.ts';

/** Verifier's POST /v1/policies/try: what a policy would say of nodes that are trusted now. */
export const PolicyTrial = Type.Object(
  {
    passing: Type.Integer(),
    failing: Type.Integer(),
    asking: Type.Integer({ description: 'Only a new quote can tell' }),
    unjudged: Type.Integer({ description: 'There was no time for these' }),
    nodes: Type.Array(
      Type.Object({
        nodeId: NodeId,
        alias: Type.String(),
        outcome: Type.Enum(['fail', 'ask']),
        reasons: Type.Array(Finding),
      }),
      { description: 'Those that would fail, then those that must be asked; the first hundred' },
    ),
  },
  { title: 'PolicyTrial' },
);
export type PolicyTrial = Static<typeof PolicyTrial>;
