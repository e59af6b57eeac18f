// Owns what is asked of the server and under which cache key; what is done to runs is in actions.ts. Live pages do not poll, but for
// what has no events: api/live.ts patches or invalidates these entries when the event stream says so.
import { infiniteQueryOptions, keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { thinIndices } from '../lib/thinning';
import { get, post } from './client';
import type {
  ConfigSchema,
  DeviceList,
  ExperimentDetail,
  ExperimentList,
  ExpertLoad,
  Health,
  LrSweep,
  MetricCatalog,
  Plan,
  Queue,
  ResultTable,
  Run,
  RunDetail,
  RunList,
  SeriesList,
  Submission,
  Statistics,
  SubmissionResult,
} from './types';

export const keys = {
  health: ['health'] as const,
  experiments: ['experiments'] as const,
  experiment: (id: number) => ['experiment', id] as const,
  results: (id: number) => ['results', id] as const,
  statistics: (id: number) => ['statistics', id] as const,
  lrSweep: (id: number) => ['lr-sweep', id] as const,
  members: (experiment: number) => ['members', experiment] as const,
  runs: ['runs'] as const,
  run: (id: number) => ['run', id] as const,
  metrics: (id: number) => ['metrics', id] as const,
  load: (id: number) => ['load', id] as const,
  devices: ['devices'] as const,
  queue: ['queue'] as const,
};

/** For address(), which leaves out what is undefined. */
const flag = (value: boolean) => (value ? 'true' : undefined);

export const healthQuery = queryOptions({
  queryKey: keys.health,
  queryFn: ({ signal }) => get<Health>('/health', {}, signal),
  refetchInterval: 15_000,
});

/** `archived`: those whose runs are all archived too. */
export const experimentsQuery = (archived = false) =>
  queryOptions({
    queryKey: [...keys.experiments, { archived }] as const,
    queryFn: ({ signal }) => get<ExperimentList>('/experiments', { archived: flag(archived) }, signal),
    placeholderData: keepPreviousData,
  });

export const experimentQuery = (id: number) =>
  queryOptions({ queryKey: keys.experiment(id), queryFn: ({ signal }) => get<ExperimentDetail>(`/experiments/${id}`, {}, signal) });

export const resultsQuery = (id: number, archived = false) =>
  queryOptions({
    queryKey: [...keys.results(id), { archived }] as const,
    queryFn: ({ signal }) => get<ResultTable>(`/experiments/${id}/results`, { archived: flag(archived) }, signal),
  });

export const statisticsQuery = (id: number, metric: string) =>
  queryOptions({
    queryKey: [...keys.statistics(id), metric] as const,
    queryFn: ({ signal }) => get<Statistics>(`/experiments/${id}/statistics`, { metric }, signal),
    placeholderData: keepPreviousData,
  });

export const lrSweepQuery = (id: number) =>
  queryOptions({ queryKey: keys.lrSweep(id), queryFn: ({ signal }) => get<LrSweep>(`/experiments/${id}/lr-sweep`, {}, signal) });

/** Every run of an experiment, under its name there; archived ones if asked for. An experiment is a few dozen runs, so all pages are read. */
export const membersQuery = (experiment: number, archived = false) =>
  queryOptions({
    queryKey: [...keys.members(experiment), { archived }] as const,
    queryFn: async ({ signal }): Promise<Run[]> => {
      const runs: Run[] = [];
      let cursor: string | undefined;
      do {
        const page = await get<RunList>('/runs', { experiment, sort: 'id', archived: flag(archived), limit: 500, cursor }, signal);
        runs.push(...page.runs);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return runs;
    },
  });

/** With several seeds the runs of one variant are called NAME,seed=1 and so on. */
function isCalled(name: string, variant: string): boolean {
  return name === variant || name.startsWith(`${variant},`);
}

/** The run that `run` is measured against, of the same seed if there is one: in its own experiment, or in another of its matrix. */
export function pickBaseline(run: Run, candidates: readonly Run[]): Run | null {
  const named = candidates.filter(
    (other) =>
      other.id !== run.id && other.matrix === run.matrix && [other.name, ...other.aliases.map((a) => a.name)].some((name) => isCalled(name, run.baseline ?? '')),
  );
  const near = (other: Run) => 2 * Number(other.aliases.some((a) => a.experiment_id === run.experiment_id)) + Number(other.seed === run.seed);
  return [...named].sort((a, b) => near(b) - near(a))[0] ?? null;
}

export const baselineQuery = (run: Run) =>
  queryOptions({
    queryKey: ['baseline', run.id, run.baseline],
    queryFn: async ({ signal }) => {
      const page = await get<RunList>('/runs', { search: run.baseline ?? '', limit: 200 }, signal);
      return pickBaseline(run, page.runs);
    },
    staleTime: 60_000,
  });

export interface RunFilter {
  state: string;
  search: string;
  sort: string;
  archived: boolean;
}

export const runsQuery = (filter: RunFilter) =>
  infiniteQueryOptions({
    queryKey: [...keys.runs, filter] as const,
    queryFn: ({ pageParam, signal }) => get<RunList>('/runs', { ...filter, archived: flag(filter.archived), limit: 100, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const runQuery = (id: number) =>
  queryOptions({ queryKey: keys.run(id), queryFn: ({ signal }) => get<RunDetail>(`/runs/${id}`, {}, signal) });

/** The contract takes 2,000 characters of names in one request; the experts of a large layer need more. */
const MAX_NAMES_LENGTH = 1800;

export function chunkNames(names: readonly string[], limit = MAX_NAMES_LENGTH): string[] {
  const chunks: string[] = [];
  for (const name of names) {
    const last = chunks.at(-1);
    if (last !== undefined && last.length + 1 + name.length <= limit) chunks[chunks.length - 1] = `${last},${name}`;
    else chunks.push(name);
  }
  return chunks;
}

export const metricsQuery = (id: number, names: readonly string[]) =>
  queryOptions({
    queryKey: [...keys.metrics(id), ...names] as const,
    queryFn: async ({ signal }): Promise<SeriesList> => {
      const parts = await Promise.all(
        chunkNames(names).map((part) => get<SeriesList>(`/runs/${id}/metrics`, { keys: part, max_points: 600 }, signal)),
      );
      return { series: parts.flatMap((part) => part.series) };
    },
    enabled: names.length > 0,
    placeholderData: keepPreviousData,
  });

/** Names of every series of a run, those by layer and by expert too, which the run itself does not list. */
export const metricNamesQuery = (run: Run) =>
  queryOptions({
    queryKey: ['metric-names', run.id, run.step > 0],
    queryFn: async ({ signal }) => {
      const { series } = await get<SeriesList>(`/runs/${run.id}/metrics`, { max_points: 4 }, signal);
      return series.map(({ key }) => key);
    },
    staleTime: 120_000,
    enabled: run.step > 0,
  });

const MAX_FRAMES = 200;

/** Appends the newer frames to the ones already here, and thins so that a long run stays light. */
export function joinLoad(old: ExpertLoad, fresh: ExpertLoad, limit = MAX_FRAMES): ExpertLoad {
  const { derived } = old;
  const last = old.frames.at(-1)?.step ?? -1;
  const skip = fresh.frames.findIndex((frame) => frame.step > last);
  if (skip < 0) return old;
  const joined = <T>(a: T[], b: T[]) => [...a, ...b.slice(skip)];
  const frames = joined(old.frames, fresh.frames);
  const kept = thinIndices(frames.length, limit);
  const pick = <T>(list: T[]) => kept.map((index) => list[index] as T);
  return {
    ...old,
    frames: pick(frames),
    derived: {
      cv: pick(joined(derived.cv, fresh.derived.cv)),
      maxvio: pick(joined(derived.maxvio, fresh.derived.maxvio)),
      entropy: pick(joined(derived.entropy, fresh.derived.entropy)),
      dead: pick(joined(derived.dead, fresh.derived.dead)),
    },
  };
}

export const loadQuery = (id: number) =>
  queryOptions({
    queryKey: keys.load(id),
    queryFn: async ({ client, signal }): Promise<ExpertLoad> => {
      const old = client.getQueryData<ExpertLoad>(keys.load(id));
      const last = old?.frames.at(-1);
      const query = { max_frames: MAX_FRAMES, from_step: last ? last.step + 1 : undefined };
      const fresh = await get<ExpertLoad>(`/runs/${id}/expert-load`, query, signal);
      return old && last ? joinLoad(old, fresh) : fresh;
    },
    structuralSharing: false, // frames are large and never change in place
  });

export const devicesQuery = queryOptions({
  queryKey: keys.devices,
  queryFn: ({ signal }) => get<DeviceList>('/devices', {}, signal),
  refetchInterval: 10_000,
});

/** Reasons to wait change without an event (somebody's process leaves a GPU), so the queue is asked for again and again. */
export const queueQuery = (limit: number) =>
  queryOptions({
    queryKey: [...keys.queue, limit] as const,
    queryFn: ({ signal }) => get<Queue>('/queue', { limit }, signal),
    refetchInterval: limit > 0 ? 2500 : 15_000,
    placeholderData: keepPreviousData,
  });

export const catalogQuery = queryOptions({
  queryKey: ['metrics-catalog'],
  queryFn: ({ signal }) => get<MetricCatalog>('/metrics-catalog', {}, signal),
  staleTime: Infinity,
});

export const schemaQuery = queryOptions({
  queryKey: ['schema'],
  queryFn: ({ signal }) => get<ConfigSchema>('/schema', {}, signal),
  staleTime: Infinity,
});

export function usePlan() {
  return useMutation({ mutationFn: (body: Submission) => post<Plan>('/experiments', { ...body, dry_run: true }) });
}

export function useSubmit() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Submission) => post<SubmissionResult>('/experiments', body),
    onSuccess: () => client.invalidateQueries(),
  });
}
