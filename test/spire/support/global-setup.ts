import type { TestProject } from 'vitest/node';
import { spireBinaries } from '../../../scripts/spire-binaries.ts';
import setupPostgres from '../../storage/support/global-setup.ts';

declare module 'vitest' {
  interface ProvidedContext {
    spireBinaries: string;
  }
}

/** SPIRE's programs, and a PostgreSQL for our services. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  project.provide('spireBinaries', spireBinaries());
  return setupPostgres(project);
}
