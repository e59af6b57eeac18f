// What verbs do to a made-up run, with the refusals of the daemon (server/run_verbs.cpp). A live run obeys at once here.
import type { components } from '../../../web/src/api/schema.d.ts';
import type { World } from './fixtures.ts';

type Schemas = components['schemas'];
type Run = Schemas['Run'];

const TERMINAL = ['completed', 'failed', 'cancelled', 'timed_out', 'out_of_memory', 'lost', 'pruned', 'skipped'];
const LIVE = ['starting', 'running', 'stopping'];

export const isEnded = (run: Run) => TERMINAL.includes(run.state);
export const isLive = (run: Run) => LIVE.includes(run.state);

export function moveTo(world: World, run: Run, state: Run['state'], reason: string): void {
  world.history.get(run.id)?.push({ time: new Date().toISOString(), from: run.state, to: state, reason });
  run.state = state;
  run.reason = reason;
  run.waiting = '';
  if (state !== 'running') Object.assign(run, { device: null, pid: null, eta_s: null, phase: null });
}

function queueAgain(world: World, run: Run, fromStart: boolean): void {
  moveTo(world, run, 'queued', '');
  Object.assign(run, { exit_code: null, signal: null, finished_at: null, queued_at: new Date().toISOString() });
  if (fromStart) Object.assign(run, { attempt: run.attempt + 1, step: 0, progress: 0, metrics: {} });
}

const VERBS: Record<string, (world: World, run: Run) => string | null> = {
  pause: (world, run) => {
    if (run.state !== 'queued' && !isLive(run)) return 'only a queued or running run can be paused';
    moveTo(world, run, 'paused', 'paused');
    return null;
  },
  resume: (world, run) => {
    if (run.state !== 'paused') return 'only a paused run can be resumed';
    queueAgain(world, run, false);
    return null;
  },
  cancel: (world, run) => {
    if (isEnded(run)) return 'it has ended already';
    moveTo(world, run, 'cancelled', 'cancelled');
    return null;
  },
  kill: (world, run) => {
    if (isEnded(run)) return 'it has ended already';
    moveTo(world, run, 'cancelled', 'killed');
    return null;
  },
  retry: (world, run) => {
    if (run.state === 'completed') return '`rerun` trains it again from the start';
    if (!isEnded(run)) return 'only a run that has ended can be tried again';
    queueAgain(world, run, false);
    return null;
  },
  rerun: (world, run) => {
    if (!isEnded(run)) return 'only a run that has ended can be run again';
    queueAgain(world, run, true);
    return null;
  },
  archive: (_world, run) => {
    if (!isEnded(run)) return 'only a run that has ended can be archived';
    run.archived = true;
    return null;
  },
  unarchive: (_world, run) => {
    run.archived = false;
    return null;
  },
};

export const VERB_WORDS = Object.keys(VERBS).join('|');

/** Null when done, else why the state does not allow it. */
export function applyVerb(world: World, run: Run, verb: string): string | null {
  const before = run.state;
  const why = VERBS[verb]?.(world, run) ?? null;
  return why === null ? null : `run ${run.id} is ${before}: ${why}`;
}
