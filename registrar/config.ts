import Type, { type Static } from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../core/duration.ts';

const Duration = (defaultText: string, description: string) =>
  Type.Optional(Type.String({ pattern: DURATION_PATTERN, default: defaultText, description }));
const Listen = Type.String({ pattern: '^(.+):([0-9]{1,5})$' });
const Count = (defaultCount: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, default: defaultCount, description }));

/** Section `registrar` of the configuration file. */
export const RegistrarConfig = Type.Object(
  {
    listen: Listen,
    url: Type.String({ pattern: '^https://', description: 'How nodes and people reach it' }),
    'keylime-http': Type.Optional(
      Type.Union([Listen, Type.Null()], {
        description: "Address of a plain HTTP listener with Keylime's registration routes only",
      }),
    ),
    'challenge-lifetime': Duration('60s', 'How long a node has to answer a challenge'),
    'max-open-per-address': Count(256, 'Open challenges for one IPv4 address or IPv6 /64'),
    'max-open': Count(10_000, 'Open challenges in all'),
    'requests-per-minute': Count(600, 'Requests without a certificate for each address'),
  },
  { additionalProperties: false },
);
export type RegistrarConfig = Static<typeof RegistrarConfig>;

/** Limits on enrolments that were not answered yet. */
export interface EnrolmentLimits {
  readonly lifetimeSeconds: number;
  readonly maxOpenPerAddress: number;
  readonly maxOpen: number;
}

export function enrolmentLimits(config: RegistrarConfig): EnrolmentLimits {
  return {
    lifetimeSeconds: Math.max(1, Math.round(parseDuration(config['challenge-lifetime'] ?? '60s') / 1000)),
    maxOpenPerAddress: config['max-open-per-address'] ?? 256,
    maxOpen: config['max-open'] ?? 10_000,
  };
}
