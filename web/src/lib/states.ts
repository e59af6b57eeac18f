// Owns what the page knows of run states: label, icon, colour token. Colour is never the only sign. What can be done in which state is in
// verbs.ts.
import {
  IconAlertTriangle,
  IconBan,
  IconCircleCheck,
  IconCircleX,
  IconClock,
  IconClockX,
  IconDatabaseX,
  IconGhost2,
  IconHourglassLow,
  IconLoader2,
  IconPlayerPause,
  IconPlayerStop,
  IconPlayerSkipForward,
  IconScissors,
  type Icon,
} from '@tabler/icons-react';

import type { RunState } from '../api/types';

interface StateLook {
  label: string;
  icon: Icon;
  /** CSS custom property of styles/tokens.css. */
  color: string;
  spin?: boolean;
}

export const STATES: Record<RunState, StateLook> = {
  running: { label: 'Running', icon: IconLoader2, color: 'var(--state-running)', spin: true },
  starting: { label: 'Starting', icon: IconHourglassLow, color: 'var(--state-starting)' },
  stopping: { label: 'Stopping', icon: IconPlayerStop, color: 'var(--state-stopping)' },
  completed: { label: 'Completed', icon: IconCircleCheck, color: 'var(--state-completed)' },
  failed: { label: 'Failed', icon: IconCircleX, color: 'var(--state-failed)' },
  out_of_memory: { label: 'Out of memory', icon: IconDatabaseX, color: 'var(--state-out-of-memory)' },
  timed_out: { label: 'Timed out', icon: IconClockX, color: 'var(--state-timed-out)' },
  lost: { label: 'Lost', icon: IconGhost2, color: 'var(--state-lost)' },
  pruned: { label: 'Pruned', icon: IconScissors, color: 'var(--state-pruned)' },
  skipped: { label: 'Skipped', icon: IconPlayerSkipForward, color: 'var(--state-skipped)' },
  cancelled: { label: 'Cancelled', icon: IconBan, color: 'var(--state-cancelled)' },
  paused: { label: 'Paused', icon: IconPlayerPause, color: 'var(--state-paused)' },
  queued: { label: 'Queued', icon: IconClock, color: 'var(--state-queued)' },
};

/** A state this page does not know yet (a newer daemon) still gets a readable badge. */
export function lookOf(state: string): StateLook {
  return STATES[state as RunState] ?? { label: state.replaceAll('_', ' '), icon: IconAlertTriangle, color: 'var(--state-queued)' };
}

/** Order of the segments of a progress bar: what is settled stands left. */
export const SEGMENT_ORDER: RunState[] = [
  'completed',
  'pruned',
  'failed',
  'out_of_memory',
  'timed_out',
  'lost',
  'skipped',
  'cancelled',
  'stopping',
  'running',
  'starting',
  'paused',
  'queued',
];

const TERMINAL = new Set<string>(['completed', 'failed', 'cancelled', 'timed_out', 'out_of_memory', 'lost', 'pruned', 'skipped']);

export function isTerminal(state: string): boolean {
  return TERMINAL.has(state);
}
/** A worker writes for this run now. */
export function isLive(state: string): boolean {
  return state === 'starting' || state === 'running' || state === 'stopping';
}
