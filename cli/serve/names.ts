import type { ServiceName } from '../api.ts';

/** The services that this program can run. */
export const SERVICE_NAMES = ['registrar', 'verifier', 'issuer'] as const satisfies readonly ServiceName[];
export type Served = (typeof SERVICE_NAMES)[number];
