import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process. Asking for a name again gives the same metric: services of one process share them. */
export interface Metrics {
  readonly registry: Registry;
  counter<L extends string>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string>(name: string, help: string, labels?: readonly L[]): Gauge<L>;
  histogram<L extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly L[],
  ): Histogram<L>;
}

/** @param defaults process metrics (CPU, memory, event loop) as well */
export function createMetrics(defaults = true): Metrics {
  const registry = new Registry();
  if (defaults) collectDefaultMetrics({ register: registry, prefix: 'assay_' });
  const base = (name: string, help: string, labels: readonly string[] = []) => ({
    name: `assay_${name}`,
    help,
    labelNames: [...labels],
    registers: [registry],
  });
  return {
    registry,
    counter: (name, help, labels) => known(registry, name, Counter) ?? new Counter(base(name, help, labels)),
    gauge: (name, help, labels) => known(registry, name, Gauge) ?? new Gauge(base(name, help, labels)),
    histogram: (name, help, buckets, labels) =>
      known(registry, name, Histogram) ??
      new Histogram({ ...base(name, help, labels), buckets: [...buckets] }),
  };
}

function known<M>(
  registry: Registry,
  name: string,
  kind: abstract new (...args: never[]) => M,
): M | undefined {
  const found: unknown = registry.getSingleMetric(`assay_${name}`);
  if (found === undefined || found instanceof kind) return found;
  throw new TypeError(`the metric ${name} exists already and is not a ${kind.name}`);
}
