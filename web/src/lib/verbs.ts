// Owns what a person can do to a run: the words of the contract's RunVerb, when each applies, and what is said before and after. Pure.
// The server decides; this table only keeps buttons away that it would refuse.
import {
  IconArchive,
  IconArchiveOff,
  IconBan,
  IconPlayerPause,
  IconPlayerPlay,
  IconRepeat,
  IconRotateClockwise,
  IconSkull,
  type Icon,
} from '@tabler/icons-react';

import type { Run, RunVerb } from '../api/types';
import { plural } from './format';
import { isLive, isTerminal } from './states';

export interface VerbLook {
  label: string;
  icon: Icon;
  /** For "3 runs were paused". */
  past: string;
  /** Ends work that a person may want back: asked for in red. */
  ends: boolean;
  can: (state: string, archived?: boolean) => boolean;
  /** What will happen, for one run in this state; null stands for several in different states. */
  says: (state: string | null) => string;
  keep: string;
}

const starts = 'It waits for its turn like any other.';

const TABLE = {
  pause: {
    label: 'Pause',
    icon: IconPlayerPause,
    past: 'paused',
    ends: false,
    can: (state) => state === 'queued' || state === 'starting' || state === 'running',
    says: (state) =>
      state === 'queued'
        ? 'It leaves the queue until it is resumed.'
        : state === null
          ? 'Those that train write a checkpoint and give their devices back; queued ones leave the queue. "Resume" queues them again.'
          : 'Its worker writes a checkpoint and gives the device back; "Resume" goes on from there.',
    keep: 'Let it go on',
  },
  resume: {
    label: 'Resume',
    icon: IconPlayerPlay,
    past: 'queued again',
    ends: false,
    can: (state) => state === 'paused',
    says: (state) => (state === null ? 'They are queued and go on from their newest checkpoints.' : `It is queued and goes on from its newest checkpoint. ${starts}`),
    keep: 'Leave it',
  },
  cancel: {
    label: 'Cancel',
    icon: IconBan,
    past: 'cancelled',
    ends: true,
    can: (state) => !isTerminal(state) && state !== 'stopping',
    says: (state) =>
      state === 'queued'
        ? 'It leaves the queue.'
        : state === 'paused'
          ? 'It ends here; "Retry" goes on from its newest checkpoint.'
          : state === null
            ? 'Those that train write a checkpoint and leave; the others leave the queue. "Retry" brings them back.'
            : 'Its worker writes a checkpoint and leaves; "Retry" goes on from there.',
    keep: 'Keep it',
  },
  kill: {
    label: 'Kill',
    icon: IconSkull,
    past: 'killed',
    ends: true,
    can: isLive,
    says: (state) =>
      state === null
        ? 'Their workers end at once and write no checkpoint: every step since the last one is lost.'
        : 'Its worker ends at once and writes no checkpoint: every step since the last one is lost.',
    keep: 'Keep it',
  },
  retry: {
    label: 'Retry',
    icon: IconRotateClockwise,
    past: 'queued again',
    ends: false,
    can: (state) => isTerminal(state) && state !== 'completed' && state !== 'pruned',
    says: (state) => (state === null ? 'Those that ended without completing are queued again and go on from their newest checkpoints.' : 'It is queued again and goes on from its newest checkpoint.'),
    keep: 'Leave it',
  },
  rerun: {
    label: 'Rerun',
    icon: IconRepeat,
    past: 'queued again from step 0',
    ends: false,
    can: isTerminal,
    says: (state) =>
      state === null
        ? 'They train again from step 0, each as a new attempt; what they logged before is superseded as they go.'
        : 'It trains again from step 0, as a new attempt; what it logged before is superseded as it goes.',
    keep: 'Leave it',
  },
  archive: {
    label: 'Archive',
    icon: IconArchive,
    past: 'archived',
    ends: false,
    can: (state, archived = false) => isTerminal(state) && !archived,
    says: (state) => `${state === null ? 'They are' : 'It is'} left out of lists and results; the files stay, and "Unarchive" brings ${state === null ? 'them' : 'it'} back.`,
    keep: 'Leave it',
  },
  unarchive: {
    label: 'Unarchive',
    icon: IconArchiveOff,
    past: 'listed again',
    ends: false,
    can: (_state, archived = false) => archived,
    says: (state) => (state === null ? 'They are listed again.' : 'It is listed again.'),
    keep: 'Leave it',
  },
} satisfies Partial<Record<RunVerb, VerbLook>>;

/** The verbs that the page offers; a newer daemon may know more. */
export type PageVerb = keyof typeof TABLE;
export const VERBS: Record<PageVerb, VerbLook> = TABLE;
export const VERB_ORDER = Object.keys(TABLE) as PageVerb[];

/** The verbs that apply to at least one of these runs, with how many they apply to. */
export function applicable(runs: readonly Pick<Run, 'state' | 'archived'>[]): { verb: PageVerb; count: number }[] {
  return VERB_ORDER.map((verb) => ({ verb, count: runs.filter((run) => VERBS[verb].can(run.state, run.archived)).length })).filter(({ count }) => count > 0);
}

/** "2 runs were paused, 1 was left as it is". */
export function outcome(verb: PageVerb, changed: number, skipped: number): string {
  const did = changed === 0 ? `No run was ${VERBS[verb].past}` : `${plural(changed, 'run')} ${changed === 1 ? 'was' : 'were'} ${VERBS[verb].past}`;
  if (skipped === 0) return did;
  return `${did}, ${skipped.toLocaleString('en-US')} ${skipped === 1 ? 'was left as it is' : 'were left as they are'}`;
}
