// What can be done to the runs that are ticked in a table.
import { Button, Group } from '@mantine/core';
import { IconTrash, IconX } from '@tabler/icons-react';

import { MAX_IDS } from '../api/actions';
import type { Run } from '../api/types';
import { canDelete } from '../lib/deletion';
import { plural } from '../lib/format';
import { applicable, VERBS } from '../lib/verbs';
import { useAskDeleteRuns } from './ask_delete';
import { useAskRuns } from './ask_verb';

export function BulkBar({ runs, clear }: { runs: readonly Run[]; clear: () => void }) {
  const { askRuns, pending } = useAskRuns(clear);
  const deletion = useAskDeleteRuns(clear);
  if (runs.length === 0) return null;
  const deletable = Math.min(runs.filter(canDelete).length, MAX_IDS);
  return (
    <div className="bulk" role="toolbar" aria-label="Actions for the chosen runs">
      <b className="num">{plural(runs.length, 'run')} chosen</b>
      <Group gap={8}>
        {applicable(runs).map(({ verb, count }) => {
          const { icon: IconShown, label, ends } = VERBS[verb];
          return (
            <Button
              key={verb}
              size="compact-sm"
              variant="default"
              leftSection={<IconShown size={15} color={ends ? 'var(--bad)' : undefined} />}
              disabled={pending}
              onClick={() => askRuns(verb, runs)}
            >
              {label} {count.toLocaleString('en-US')}
            </Button>
          );
        })}
        {deletable > 0 && (
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<IconTrash size={15} color="var(--bad)" />}
            disabled={pending || deletion.pending}
            onClick={() => deletion.askDelete(runs)}
          >
            Delete {deletable.toLocaleString('en-US')}
          </Button>
        )}
      </Group>
      <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconX size={15} />} onClick={clear} ml="auto">
        Clear
      </Button>
    </div>
  );
}
