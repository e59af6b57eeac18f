// Owns what the page does to runs and to the queue. Each answer is put into the cache at once; what hangs on it is then read anew.
import { useMutation, useQueryClient, type QueryClient } from '@tanstack/react-query';

import { post } from './client';
import { leave } from './leaving';
import { dropExperiments, dropRuns, patchCache } from './patch';
import { keys } from './queries';
import type { Deleted, Device, DeviceList, Queue, Run, RunVerb, VerbResult } from './types';

export const MAX_IDS = 1000; // of the contract's RunIds

function take(client: QueryClient, runs: readonly Run[]): void {
  patchCache(client, new Map(runs.map((run) => [run.id, run])));
}

function refresh(client: QueryClient): void {
  for (const name of ['run', 'runs', 'members', 'queue', 'health', 'experiments', 'experiment', 'devices']) {
    void client.invalidateQueries({ queryKey: [name] });
  }
}

function useRunMutation<Input>(send: (input: Input) => Promise<Run>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSuccess: (run) => take(client, [run]), onSettled: () => refresh(client) });
}

function useBulkMutation<Input>(send: (input: Input) => Promise<VerbResult>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSuccess: ({ runs }) => take(client, runs), onSettled: () => refresh(client) });
}

export const useRunVerb = () => useRunMutation(({ id, verb }: { id: number; verb: RunVerb }) => post<Run>(`/runs/${id}/${verb}`));

export const usePriority = () => useRunMutation(({ id, priority }: { id: number; priority: number }) => post<Run>(`/runs/${id}/priority`, { priority }));

/** `device` null = any of the kind that the run asks for. */
export const useForce = () => useRunMutation(({ id, device }: { id: number; device: string | null }) => post<Run>(`/runs/${id}/force`, device === null ? {} : { device }));

export const useRunsVerb = () =>
  useBulkMutation(async ({ ids, verb }: { ids: readonly number[]; verb: RunVerb }) => {
    const all: VerbResult = { runs: [], skipped: [] };
    for (let start = 0; start < ids.length; start += MAX_IDS) {
      const part = await post<VerbResult>(`/runs/${verb}`, { ids: ids.slice(start, start + MAX_IDS) });
      all.runs.push(...part.runs);
      all.skipped.push(...part.skipped);
    }
    return all;
  });

export const useExperimentVerb = () => useBulkMutation(({ id, verb }: { id: number; verb: RunVerb }) => post<VerbResult>(`/experiments/${id}/${verb}`));

/** All or none go; at most MAX_IDS at once. The page of what is gone is left by the caller. */
export function useDeleteRuns() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (ids: readonly number[]) => post<Deleted>('/runs/delete', { ids }),
    onMutate: (ids) => leave(ids.map(keys.run)),
    onError: (_error, _ids, stay) => stay?.(),
    onSuccess: ({ deleted }) => dropRuns(client, new Set(deleted)),
  });
}

export function useDeleteExperiment() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: number) => post<Deleted>(`/experiments/${id}/delete`),
    onMutate: (id) => leave([keys.experiment(id)]),
    onError: (_error, _id, stay) => stay?.(),
    onSuccess: ({ deleted }, id) => {
      dropRuns(client, new Set(deleted));
      dropExperiments(client, new Set([id]));
    },
  });
}

export type QueueVerb = 'hold' | 'drain' | 'release';

export function useQueueVerb() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ verb, reason }: { verb: QueueVerb; reason: string }) => post<Queue>(`/queue/${verb}`, verb === 'release' ? {} : { reason }),
    // The answer lists no runs, so only the mode of what is shown is replaced.
    onSuccess: ({ mode, reason, since }) => client.setQueriesData<Queue>({ queryKey: keys.queue }, (old) => old && { ...old, mode, reason, since }),
    onSettled: () => refresh(client),
  });
}

export type DeviceVerb = 'enable' | 'disable';

export function useDeviceVerb() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, verb, reason }: { id: string; verb: DeviceVerb; reason: string }) =>
      post<Device>(`/devices/${encodeURIComponent(id)}/${verb}`, verb === 'disable' ? { reason } : {}),
    onSuccess: (device) =>
      client.setQueryData<DeviceList>(keys.devices, (old) => old && { ...old, devices: old.devices.map((known) => (known.id === device.id ? device : known)) }),
    onSettled: () => refresh(client),
  });
}
