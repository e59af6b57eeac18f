// A run's priority, edited in place: Enter or leaving the field sends it, Escape takes it back.
import { Loader, TextInput } from '@mantine/core';
import { useState } from 'react';

import { usePriority } from '../api/actions';
import type { Run } from '../api/types';
import { MAX_PRIORITY, parsePriority } from '../lib/priority';
import { tellFailure } from './ask_verb';

export function PriorityCell({ run }: { run: Run }) {
  const set = usePriority();
  // While it is edited the field shows the draft, whatever the queue says meanwhile.
  const [draft, setDraft] = useState<string | null>(null);
  const wrong = draft !== null && parsePriority(draft) === null;
  const commit = () => {
    if (draft === null || wrong) return;
    const priority = parsePriority(draft);
    if (priority === null || priority === run.priority) {
      setDraft(null);
      return;
    }
    set.mutate(
      { id: run.id, priority },
      {
        onError: (error) => tellFailure(`The priority of ${run.name} is as it was`, error),
        onSettled: () => setDraft(null),
      },
    );
  };
  return (
    <TextInput
      size="xs"
      w={92}
      inputMode="numeric"
      aria-label={`Priority of ${run.name}`}
      title="Larger runs sooner"
      value={draft ?? String(run.priority)}
      error={wrong ? `−${MAX_PRIORITY} to ${MAX_PRIORITY}` : null}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        if (event.key === 'Escape') setDraft(null);
      }}
      rightSection={set.isPending ? <Loader size={12} /> : null}
      styles={{ input: { fontVariantNumeric: 'tabular-nums' } }}
    />
  );
}
