// Owns the question before runs or an experiment are deleted, which names what goes, and the answer after it.
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';
import { useNavigate } from 'react-router';

import { MAX_IDS, useDeleteExperiment, useDeleteRuns } from '../api/actions';
import type { Deleted, Experiment, Run } from '../api/types';
import { canDelete, whatGoes } from '../lib/deletion';
import { plural } from '../lib/format';
import { tellFailure } from './ask_verb';

function ask(title: string, text: string, confirm: string, onConfirm: () => void): void {
  modals.openConfirmModal({ title, children: text, labels: { confirm, cancel: 'Keep everything' }, confirmProps: { color: 'red.8' }, onConfirm });
}

function tellDeleted({ deleted, kept }: Deleted): void {
  const rest = kept.length > 0 ? `; ${plural(kept.length, 'run')} that another experiment lists stayed` : '';
  notifications.show({ title: 'Deleted', message: `${plural(deleted.length, 'run')}, with all files${rest}.` });
}

/** `done` is called once they are gone. */
export function useAskDeleteRuns(done: () => void) {
  const act = useDeleteRuns();
  const askDelete = (runs: readonly Run[]) => {
    const meant = runs.filter(canDelete).slice(0, MAX_IDS);
    const first = meant[0];
    if (!first) return;
    const what = meant.length === 1 ? first.name : plural(meant.length, 'run');
    ask(`Delete ${what}?`, whatGoes(meant, runs.length - meant.length), `Delete ${meant.length === 1 ? 'the run' : what}`, () =>
      act.mutate(
        meant.map(({ id }) => id),
        {
          onSuccess: (answer) => {
            done();
            tellDeleted(answer);
          },
          onError: (error) => tellFailure('Nothing was deleted', error),
        },
      ),
    );
  };
  return { askDelete, pending: act.isPending };
}

export function useAskDeleteExperiment() {
  const act = useDeleteExperiment();
  const navigate = useNavigate();
  /** `unseen`: further runs of it that are archived. */
  const askDelete = (experiment: Experiment, runs: readonly Run[], unseen: number) => {
    const goes = runs.filter((run) => run.aliases.every((alias) => alias.experiment_id === experiment.id));
    const kept = runs.length - goes.length;
    const stays = kept > 0 ? ` ${plural(kept, 'run')} that other experiments list too ${kept === 1 ? 'stays' : 'stay'}.` : '';
    const hidden = unseen > 0 ? ` So ${unseen === 1 ? 'does' : 'do'} ${plural(unseen, 'archived run')} of it.` : '';
    ask(`Delete ${experiment.name}?`, `The experiment goes. ${whatGoes(goes)}${hidden}${stays}`, 'Delete the experiment', () =>
      act.mutate(experiment.id, {
        onSuccess: (answer) => {
          void navigate('/');
          tellDeleted(answer);
        },
        onError: (error) => tellFailure('Nothing was deleted', error),
      }),
    );
  };
  return { askDelete, pending: act.isPending };
}
