// What can be done to the runs that are ticked in a table.
import { Button, Group } from '@mantine/core';
import { IconX } from '@tabler/icons-react';

import type { Run } from '../api/types';
import { plural } from '../lib/format';
import { applicable, VERBS } from '../lib/verbs';
import { useAskRuns } from './ask_verb';

export function BulkBar({ runs, clear }: { runs: readonly Run[]; clear: () => void }) {
  const { askRuns, pending } = useAskRuns(clear);
  if (runs.length === 0) return null;
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
      </Group>
      <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconX size={15} />} onClick={clear} ml="auto">
        Clear
      </Button>
    </div>
  );
}
