// Owns how runs that changed, or are gone, are put into what is cached already, so that cells change in place. Called by the event stream
// and after every verb.
import type { InfiniteData, QueryClient } from '@tanstack/react-query';

import { keys } from './queries';
import type { ExperimentList, Queue, Run, RunDetail, RunList } from './types';

/** A run can be listed under several experiments, and twice in one; a row keeps the name and the baseline it has where it stands. */
export function mergeMember(row: Run, fresh: Run): Run {
  if (row.experiment_id === fresh.experiment_id && row.name === fresh.name) return { ...row, ...fresh };
  const { name, experiment, experiment_id, matrix, baseline, is_baseline, varied, tags } = row;
  return { ...row, ...fresh, name, experiment, experiment_id, matrix, baseline, is_baseline, varied, tags };
}

function patchRuns(rows: Run[], fresh: Map<number, Run>): Run[] {
  if (!rows.some((row) => fresh.has(row.id))) return rows;
  return rows.map((row) => {
    const run = fresh.get(row.id);
    return run ? mergeMember(row, run) : row;
  });
}

/** Takes runs that were deleted out of what is listed. */
export function dropRuns(client: QueryClient, gone: ReadonlySet<number>): void {
  const rest = (rows: Run[]) => (rows.some((row) => gone.has(row.id)) ? rows.filter((row) => !gone.has(row.id)) : rows);
  client.setQueriesData<Run[]>({ queryKey: ['members'] }, (rows) => rows && rest(rows));
  client.setQueriesData<InfiniteData<RunList>>({ queryKey: keys.runs }, (data) => {
    if (!data) return data;
    const pages = data.pages.map((page) => ({ ...page, runs: rest(page.runs) }));
    const fewer = data.pages.reduce((sum, page, i) => sum + page.runs.length - (pages[i]?.runs.length ?? 0), 0);
    return { ...data, pages: pages.map((page) => ({ ...page, total: page.total - fewer })) };
  });
  client.setQueriesData<Queue>({ queryKey: keys.queue }, (queue) => queue && { ...queue, runs: rest(queue.runs) });
}

export function dropExperiments(client: QueryClient, gone: ReadonlySet<number>): void {
  client.setQueriesData<ExperimentList>({ queryKey: keys.experiments }, (list) => {
    if (!list) return list;
    const experiments = list.experiments.filter(({ id }) => !gone.has(id));
    return { experiments, total: experiments.length };
  });
}

export function patchCache(client: QueryClient, fresh: Map<number, Run>): void {
  client.setQueriesData<Run[]>({ queryKey: ['members'] }, (rows) => rows && patchRuns(rows, fresh));
  client.setQueriesData<InfiniteData<RunList>>(
    { queryKey: keys.runs },
    (data) => data && { ...data, pages: data.pages.map((page) => ({ ...page, runs: patchRuns(page.runs, fresh) })) },
  );
  for (const [id, run] of fresh) {
    client.setQueryData<RunDetail>(keys.run(id), (old) => old && { ...old, ...mergeMember(old, run) });
  }
}
