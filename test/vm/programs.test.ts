import { expect, test } from 'vitest';
import { hostPrograms } from './support/programs.ts';

test('a host without QEMU and firmware is refused, with what to install', () => {
  const refused = () => hostPrograms('/nowhere', '/nowhere');
  expect(refused).toThrow(
    /^no virtual machine can run here: .*qemu-system-x86_64.*OVMF_CODE_4M\.fd.* missing/,
  );
  expect(refused).toThrow(/install with: apt-get install .*\bqemu-system-x86\b.*\bovmf\b/);
});

test('firmware alone being missing is enough', () => {
  expect(() => hostPrograms(process.env.PATH, '/nowhere')).toThrow(
    'no virtual machine can run here: /nowhere/OVMF_CODE_4M.fd, /nowhere/OVMF_VARS_4M.fd missing; install with: apt-get install -y --no-install-recommends ovmf',
  );
});
