// Owns the question before a verb and the answer after it, for one run, for several, and for an experiment.
import { List } from '@mantine/core';
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';

import { useExperimentVerb, useRunsVerb, useRunVerb } from '../api/actions';
import type { Run, VerbResult } from '../api/types';
import { otherNames } from '../lib/aliases';
import { plural, sentence } from '../lib/format';
import { outcome, VERBS, type PageVerb } from '../lib/verbs';

export function tellFailure(title: string, error: Error): void {
  notifications.show({ color: 'red', title, message: error.message });
}

interface Question {
  title: string;
  text: string;
  confirm: string;
  keep: string;
  ends: boolean;
  onConfirm: () => void;
}

function ask({ title, text, confirm, keep, ends, onConfirm }: Question): void {
  modals.openConfirmModal({
    title,
    children: text,
    labels: { confirm, cancel: keep },
    ...(ends ? { confirmProps: { color: 'red.8' } } : {}),
    onConfirm,
  });
}

/** Says what came of it; runs that were left alone are listed with the server's reason, in a window that waits to be read. */
function tellOutcome(verb: PageVerb, changed: number, skipped: VerbResult['skipped'], names: ReadonlyMap<number, string>): void {
  const text = outcome(verb, changed, skipped.length);
  if (skipped.length === 0) {
    notifications.show({ title: VERBS[verb].label, message: sentence(text) });
    return;
  }
  modals.openConfirmModal({
    title: `${text}:`,
    children: (
      <List size="sm" spacing={6} aria-label="Runs that were left as they are">
        {skipped.map(({ id, reason }) => (
          <List.Item key={id}>
            <b>{names.get(id) ?? `run ${id}`}</b> <span className="soft">{reason}</span>
          </List.Item>
        ))}
      </List>
    ),
    labels: { confirm: 'Close', cancel: '' },
    cancelProps: { display: 'none' },
  });
}

export function useAskRun() {
  const act = useRunVerb();
  const askRun = (verb: PageVerb, run: Run) => {
    const look = VERBS[verb];
    const others = otherNames(run).length;
    ask({
      title: `${look.label} ${run.name}?`,
      text: look.says(run.state) + (others > 0 ? ` It is listed in ${plural(others, 'other place')} too.` : ''),
      confirm: `${look.label} the run`,
      keep: look.keep,
      ends: look.ends,
      onConfirm: () => act.mutate({ id: run.id, verb }, { onError: (error) => tellFailure(`${run.name} was not ${look.past}`, error) }),
    });
  };
  return { askRun, pending: act.isPending ? act.variables.verb : null };
}

export function useAskRuns(done: () => void) {
  const act = useRunsVerb();
  const askRuns = (verb: PageVerb, runs: readonly Run[]) => {
    const look = VERBS[verb];
    const count = runs.filter((run) => look.can(run.state, run.archived)).length;
    const rest = runs.length - count;
    const names = new Map(runs.map((run) => [run.id, run.name]));
    ask({
      title: `${look.label} ${plural(count, 'run')}?`,
      text: look.says(null) + (rest > 0 ? ` ${plural(rest, 'run')} of your choice ${rest === 1 ? 'is' : 'are'} in another state and will be left alone.` : ''),
      confirm: `${look.label} ${plural(count, 'run')}`,
      keep: 'Leave them',
      ends: look.ends,
      onConfirm: () =>
        act.mutate(
          { ids: runs.map((run) => run.id), verb },
          {
            onSuccess: ({ runs: changed, skipped }) => {
              tellOutcome(verb, changed.length, skipped, names);
              done();
            },
            onError: (error) => tellFailure(`The runs were not ${look.past}`, error),
          },
        ),
    });
  };
  return { askRuns, pending: act.isPending };
}

export function useAskExperiment() {
  const act = useExperimentVerb();
  const askExperiment = (verb: PageVerb, experiment: { id: number; name: string }, runs: readonly Run[]) => {
    const look = VERBS[verb];
    const meant = new Map(runs.filter((run) => look.can(run.state, run.archived)).map((run) => [run.id, run.name]));
    ask({
      title: `${look.label} ${plural(meant.size, 'run')} of ${experiment.name}?`,
      text: look.says(null),
      confirm: `${look.label} ${plural(meant.size, 'run')}`,
      keep: 'Leave them',
      ends: look.ends,
      onConfirm: () =>
        act.mutate(
          { id: experiment.id, verb },
          {
            // Runs that nobody meant, such as completed ones when cancelling, are no news.
            onSuccess: ({ runs: changed, skipped }) => tellOutcome(verb, changed.length, skipped.filter(({ id }) => meant.has(id)), meant),
            onError: (error) => tellFailure(`${experiment.name} was left as it is`, error),
          },
        ),
    });
  };
  return { askExperiment, pending: act.isPending };
}
