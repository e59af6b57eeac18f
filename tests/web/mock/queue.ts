// The queue of the mock: order of turns, a sentence for every run that waits, hold, drain and release.
import type { components } from '../../../web/src/api/schema.d.ts';
import type { World } from './fixtures.ts';
import { isLive, moveTo } from './verbs.ts';

type Schemas = components['schemas'];
type Run = Schemas['Run'];

const GPUS = 'gpu0 and gpu1 are leased; gpu2 is used by pid 31337 of user maria (python train.py --config configs/vision/large.yaml)';

/** In the words of the scheduler. */
export function waitingOf(world: World, run: Run): string {
  if (run.state !== 'queued') return '';
  const { mode, reason } = world.queue;
  const why = reason ? ` (${reason})` : '';
  if (mode === 'held') return `waits: the queue is on hold${why}; \`moelab release\` opens it`;
  if (mode === 'drained') return `waits: the server is drained${why}; \`moelab release\` opens it`;
  if (world.forced.has(run.id)) return `waits for ${world.forced.get(run.id)}, forced: the next tick starts it`;
  if (run.name.startsWith('d2')) return 'waits for run 10 (c3_e32_k4), which is starting';
  return `waits for a GPU: ${GPUS}`;
}

export function queueOf(world: World, limit: number): Schemas['Queue'] {
  const runs = [...world.runs.values()];
  const waiting = runs.filter((run) => run.state === 'queued').sort((a, b) => b.priority - a.priority || a.id - b.id);
  return { ...world.queue, total: waiting.length, live: runs.filter(isLive).length, runs: waiting.slice(0, limit) };
}

export function setMode(world: World, verb: string, reason: string): Run[] {
  const mode = ({ hold: 'held', drain: 'drained', release: 'open' } as const)[verb] ?? 'open';
  world.queue = { mode, reason: mode === 'open' ? '' : reason, since: mode === 'open' ? null : new Date().toISOString() };
  const stopped = mode === 'drained' ? [...world.runs.values()].filter(isLive) : [];
  for (const run of stopped) moveTo(world, run, 'queued', 'the server was drained');
  return stopped;
}
