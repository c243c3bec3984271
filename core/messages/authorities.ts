import Type, { type Static } from 'typebox';
import { GroupName, Instant } from './common.ts';

const AuthorityRecord = Type.Object(
  {
    name: Type.String({ description: 'Of its CRL: GROUP or GROUP.full, with .next or .previous behind it' }),
    group: GroupName,
    tier: Type.Union([Type.Literal('full'), Type.Null()], {
      description: 'Whose certificates it signs; null: of all nodes of the group that no other one is for',
    }),
    state: Type.Enum(['current', 'next', 'previous']),
    notAfter: Instant,
    selector: Type.String({ description: 'What SPIRE knows its nodes by: no node can choose it' }),
  },
  { title: 'AuthorityRecord' },
);
export type AuthorityRecord = Static<typeof AuthorityRecord>;

/** Issuer's GET /v1/authorities: the node PKI as relying parties need it. */
export const AuthoritiesAnswer = Type.Object({
  root: Type.String(),
  groups: Type.Record(Type.String(), Type.String()),
  authorities: Type.Array(AuthorityRecord),
});
export type AuthoritiesAnswer = Static<typeof AuthoritiesAnswer>;
