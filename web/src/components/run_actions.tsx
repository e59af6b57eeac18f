// Owns what can be done to runs, each behind a question that says what will happen.
import { Button } from '@mantine/core';
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';
import { IconBan, IconRotateClockwise } from '@tabler/icons-react';

import { useRunVerb } from '../api/queries';
import type { Run } from '../api/types';
import { plural } from '../lib/format';
import { otherNames } from '../lib/aliases';
import { canCancel, canRetry } from '../lib/states';

export function tellFailure(title: string, error: Error): void {
  notifications.show({ color: 'red', title, message: error.message });
}

export function RunActions({ run }: { run: Run }) {
  const cancel = useRunVerb('cancel');
  const retry = useRunVerb('retry');
  const others = otherNames(run).length;

  const askCancel = () =>
    modals.openConfirmModal({
      title: `Cancel ${run.name}?`,
      children:
        (run.state === 'queued' ? 'It leaves the queue.' : 'Its worker writes a checkpoint and leaves; "Retry" goes on from there.') +
        (others > 0 ? ` It is listed in ${plural(others, 'other place')} too.` : ''),
      labels: { confirm: 'Cancel the run', cancel: 'Keep it' },
      confirmProps: { color: 'red.8' },
      onConfirm: () => cancel.mutate(run.id, { onError: (error) => tellFailure(`${run.name} was not cancelled`, error) }),
    });

  const askRetry = () =>
    modals.openConfirmModal({
      title: `Retry ${run.name}?`,
      children: 'It is queued again and goes on from its newest checkpoint.',
      labels: { confirm: 'Retry the run', cancel: 'Leave it' },
      onConfirm: () => retry.mutate(run.id, { onError: (error) => tellFailure(`${run.name} was not queued`, error) }),
    });

  return (
    <>
      {canRetry(run.state) && (
        <Button variant="light" leftSection={<IconRotateClockwise size={16} />} onClick={askRetry} loading={retry.isPending}>
          Retry
        </Button>
      )}
      {canCancel(run.state) && (
        <Button variant="default" leftSection={<IconBan size={16} />} onClick={askCancel} loading={cancel.isPending}>
          Cancel
        </Button>
      )}
    </>
  );
}
