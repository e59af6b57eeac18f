// Statistics of made-up families, by the formulas of server/analysis/statistics.h for the few degrees of freedom that occur here.
import type { components } from '../../../web/src/api/schema.d.ts';
import { familyOf } from './fixtures.ts';

type Schemas = components['schemas'];
type Run = Schemas['Run'];

const T_975: Record<number, number> = { 1: 12.706, 2: 4.303, 3: 3.182 };

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / (values.length - 1));

function interval(values: number[]): Schemas['Interval'] | null {
  if (values.length < 2) return null;
  const half = ((T_975[values.length - 1] ?? 2) * deviation(values)) / Math.sqrt(values.length);
  return { low: mean(values) - half, high: mean(values) + half };
}

function exclusions(runs: Run[]): Schemas['Exclusions'] {
  const not_completed: Record<string, number> = {};
  for (const run of runs) if (run.state !== 'completed') not_completed[run.state] = (not_completed[run.state] ?? 0) + 1;
  return { total: runs.filter((run) => run.state !== 'completed').length, not_completed, diverged: 0, without_metric: 0, archived: 0 };
}

export function statisticsOf(runs: Run[], metric: string, baseline: string | null, info: Schemas['MetricInfo'] | undefined): Schemas['Statistics'] {
  const counted = (family: string) => runs.filter((run) => familyOf(run.name) === family && run.state === 'completed');
  const value = (run: Run) => Number(run.metrics[metric]);
  const families = [...new Set(runs.map((run) => familyOf(run.name)))].map((family): Schemas['FamilyStatistics'] => {
    const own = counted(family);
    const values = own.map(value);
    const is_baseline = family === baseline;
    const deltas = baseline === null || is_baseline ? [] : own.flatMap((run) => counted(baseline).filter((base) => base.seed === run.seed).map((base) => value(run) - value(base)));
    const ci = interval(deltas);
    const apart = ci !== null && (ci.low > 0 || ci.high < 0);
    const verdict = is_baseline ? 'baseline' : baseline === null ? 'no_baseline' : deltas.length === 0 ? 'no_pairs' : ci === null ? 'no_spread' : apart ? 'distinguishable' : 'indistinguishable';
    const texts = { baseline: 'baseline', no_baseline: 'no baseline', no_pairs: 'no pair of completed runs', no_spread: 'one pair: no spread', distinguishable: `distinguishable at n = ${deltas.length}`, indistinguishable: `not distinguishable at n = ${deltas.length}` };
    return {
      family,
      is_baseline,
      baseline,
      members: runs.filter((run) => familyOf(run.name) === family).length,
      n: own.length,
      mean: own.length ? mean(values) : null,
      sd: own.length > 1 ? deviation(values) : null,
      ci: interval(values),
      delta: deltas.length ? { n: deltas.length, mean: mean(deltas), sd: deltas.length > 1 ? deviation(deltas) : null, ci, p: ci === null ? null : apart ? 0.004 : 0.31 } : null,
      verdict,
      verdict_text: texts[verdict],
      excluded: exclusions(runs.filter((run) => familyOf(run.name) === family)),
    };
  });
  const spreads = families.filter((family) => family.sd !== null);
  const degrees = spreads.reduce((sum, family) => sum + family.n - 1, 0);
  const pooled = Math.sqrt(spreads.reduce((sum, family) => sum + (family.n - 1) * (family.sd as number) ** 2, 0) / degrees);
  return {
    metric,
    unit: info?.unit ?? '',
    direction: info?.direction ?? 'none',
    baseline,
    confidence: 0.95,
    families,
    noise: { seeds: { sd: degrees > 0 ? pooled : null, degrees, groups: spreads.length, diverged: 0 }, repeats: { sd: null, degrees: 0, groups: 0, diverged: 0 } },
    excluded: exclusions(runs),
  };
}
