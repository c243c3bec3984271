import type { Finding } from '../core/finding.ts';

/** Why node material was taken away. */
export type DestroyReason = 'revoked' | 'refused' | 'expired' | 'left';

/** What an agent does, step by step: for its log, a demo, and tests. Nothing in it is secret. */
export type AgentEvent =
  | { readonly step: 'listening'; readonly host: string; readonly port: number }
  | {
      readonly step: 'ek-checked';
      readonly template: string;
      readonly hasCertificate: boolean;
      readonly chainLength: number;
      readonly ekSha256: string;
    }
  | { readonly step: 'ak-ready'; readonly algorithm: string; readonly created: boolean }
  | { readonly step: 'challenged'; readonly nodeId: string }
  | { readonly step: 'activated'; readonly nodeId: string; readonly version: number; readonly state: string }
  | { readonly step: 'enrolment-failed'; readonly code: string; readonly message: string }
  | { readonly step: 'waiting'; readonly nodeId: string; readonly admission: string }
  | {
      readonly step: 'admitted';
      readonly nodeId: string;
      readonly group: string | null;
      readonly admission: string;
    }
  | { readonly step: 'quoted'; readonly bank: string; readonly pcrs: readonly number[] }
  | { readonly step: 'not-trusted'; readonly code: string; readonly rules: readonly string[] }
  | {
      readonly step: 'certificate';
      readonly serial: string;
      readonly subject: string;
      readonly issuer: string;
      readonly notAfter: Date;
      readonly keyMode: 'tpm' | 'delivered';
      readonly renewed: boolean;
    }
  | {
      readonly step: 'material-written';
      readonly path: string;
      readonly subject: string;
      readonly issuer: string;
      readonly notBefore: Date;
      readonly notAfter: Date;
      readonly renewed: boolean;
    }
  | { readonly step: 'revoked'; readonly reasons: readonly Finding[] }
  | { readonly step: 'destroyed'; readonly reason: DestroyReason; readonly path: string }
  | {
      readonly step: 'hook';
      readonly hook: 'on-change' | 'on-revoke';
      readonly ok: boolean;
      readonly message?: string;
    }
  | { readonly step: 'trouble'; readonly part: string; readonly code: string; readonly message: string };

export type AgentStep = AgentEvent['step'];
export type OnAgentEvent = (event: AgentEvent) => void;
