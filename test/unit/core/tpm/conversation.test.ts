import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { Reader } from '../../../../core/bytes/reader.ts';
import { Writer } from '../../../../core/bytes/writer.ts';
import { marshalTpmsAttest, parseTpmsAttest } from '../../../../core/tpm/attest.ts';
import { TPM_CAP, TPM_CC, TPM_RC, TPM_ST } from '../../../../core/tpm/constants.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import {
  readTpmlDigest,
  readTpmlPcrSelection,
  writeTpmlDigest,
  writeTpmlPcrSelection,
} from '../../../../core/tpm/pcr-selection.ts';
import { marshalTpm2bPublic, readTpmtPublic } from '../../../../core/tpm/public.ts';
import { marshalTpmtSignature, readTpmtSignature } from '../../../../core/tpm/signature.ts';
import { type ConversationVector, loadVectors, unhex } from './vectors.ts';

const conversation = loadVectors('conversation');

describe('responses of a TPM to tpm2-tools', () => {
  each(TPM_CC.GetCapability, 'the banks', (r) => {
    expect(r.u8('moreData')).toBe(0);
    expect(r.u32('capability')).toBe(TPM_CAP.PCRS);
    const banks = readTpmlPcrSelection(r);
    expect(banks.map(({ hash, pcrs }) => [hash, pcrs.length])).toEqual([
      ['sha1', 24],
      ['sha256', 24],
      ['sha384', 24],
      ['sha512', 0],
    ]);
  });

  each(TPM_CC.ReadPublic, 'a public area and its Names', (r) => {
    const inner = r.nested16('outPublic', 1024);
    const publicArea = readTpmtPublic(inner);
    inner.end();
    expect(toHex(r.sized16('name', 66))).toBe(toHex(computeName(publicArea)));
    r.sized16('qualifiedName', 66);
  });

  each(TPM_CC.PCR_Read, 'a selection and its values', (r, { command, response }) => {
    const updateCounter = r.u32('pcrUpdateCounter');
    const selections = readTpmlPcrSelection(r);
    const digests = readTpmlDigest(r);
    expect(digests).toHaveLength(selections.reduce((total, { pcrs }) => total + pcrs.length, 0));
    const request = readTpmlPcrSelection(new Reader(unhex(command).subarray(10), 'pcrSelectionIn'));
    // A TPM answers eight values at a time, and says which.
    expect(request[0]?.pcrs.slice(0, 8)).toEqual(selections[0]?.pcrs);
    const answer = new Writer().u32(updateCounter);
    writeTpmlPcrSelection(answer, selections);
    writeTpmlDigest(answer, digests);
    expect(response.endsWith(toHex(answer.bytes()))).toBe(true);
  });

  each(TPM_CC.Quote, 'an attestation and its signature', (response) => {
    const r = parameters(response);
    const attest = r.sized16('quoted', 256);
    expect(marshalTpmsAttest(parseTpmsAttest(attest))).toEqual(attest);
    const signature = readTpmtSignature(r);
    expect(signature).toMatchObject({ type: 'rsassa', hash: 'sha256' });
    expect(marshalTpmtSignature(signature)).toHaveLength(262);
    r.end();
    response.raw(response.remaining, 'sessions');
  });

  each(TPM_CC.CreatePrimary, 'an EK', (response) => {
    response.u32('objectHandle');
    const r = parameters(response);
    const outPublic = r.sized16('outPublic', 1024);
    const inner = new Reader(outPublic, 'outPublic');
    const ek = readTpmtPublic(inner);
    inner.end();
    expect(marshalTpm2bPublic(ek)).toEqual(new Writer().sized16(outPublic).bytes());
    response.raw(response.remaining, 'sessions');
  });
});

/** A test for each recorded response to one command. */
function each(code: number, what: string, check: (r: Reader, recorded: ConversationVector) => void): void {
  const recorded = conversation.filter(
    ({ command }) => new Reader(unhex(command).subarray(6), 'command').u32('code') === code,
  );
  test(`recorded: ${what}`, () => {
    expect(recorded.length).toBeGreaterThan(0);
    for (const entry of recorded) {
      const r = new Reader(unhex(entry.response), 'response');
      expect([TPM_ST.NO_SESSIONS, TPM_ST.SESSIONS]).toContain(r.u16('tag'));
      expect(r.u32('responseSize')).toBe(entry.response.length / 2);
      expect(r.u32('responseCode')).toBe(TPM_RC.SUCCESS);
      check(r, entry);
      r.end();
    }
  });
}

/** The parameters of a response with sessions, which come with their size. */
function parameters(r: Reader): Reader {
  return new Reader(r.sized32('parameterSize', 4096), 'parameters');
}
