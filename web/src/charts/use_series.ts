// Owns the fetching of scalar series for several runs at once.
import { useQueries } from '@tanstack/react-query';

import { metricsQuery } from '../api/queries';
import type { Series } from '../api/types';
import { toNumber } from '../lib/numbers';
import type { Point } from '../lib/smoothing';
import type { ChartRun } from './types';

/** Plain values only: equal results then keep their identity, and a run that merely moved a step redraws nothing. */
export interface RunSeries {
  runId: number;
  label: string;
  color: string;
  dashed: boolean;
  key: string;
  title: string;
  unit: string;
  points: Point[];
}

function pointsOf(series: Series): Point[] {
  return series.points.map(([step, value]) => [step, toNumber(value) ?? NaN]);
}

export interface SeriesResult {
  series: RunSeries[];
  pending: boolean;
  error: Error | null;
}

/** `names(run)` are the metric names to read of a run; names that it does not have are simply absent. */
export function useSeries(runs: ChartRun[], names: (run: ChartRun) => string[]): SeriesResult {
  return useQueries({
    queries: runs.map((owner) => metricsQuery(owner.run.id, names(owner))),
    combine: (results) => ({
      series: results.flatMap((result, index) => {
        const { run, label, color, dashed } = runs[index] as ChartRun;
        return (result.data?.series ?? []).map((series) => ({
          runId: run.id,
          label,
          color,
          dashed,
          key: series.key,
          title: series.title,
          unit: series.unit,
          points: pointsOf(series),
        }));
      }),
      pending: results.some((result) => result.isLoading),
      error: results.find((result) => result.error)?.error ?? null,
    }),
  });
}
