// The expert load of the one run that a run page draws.
import { useQuery } from '@tanstack/react-query';

import { loadQuery } from '../api/queries';
import { hasExperts } from '../lib/load';
import type { ChartRun } from './types';

export function useRunLoad(runs: ChartRun[]) {
  const run = runs[0]?.run;
  return useQuery({ ...loadQuery(run?.id ?? 0), enabled: run !== undefined && hasExperts(run) });
}
