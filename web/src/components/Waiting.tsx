// Why a queued run waits, in the scheduler's words.
import { IconHourglass } from '@tabler/icons-react';

import type { Run } from '../api/types';
import { sentence } from '../lib/format';

const NOT_YET = 'The scheduler has not looked at it yet.';

export function waitingText(run: Run): string {
  return run.state === 'queued' ? sentence(run.waiting) || NOT_YET : '';
}

export function Waiting({ run }: { run: Run }) {
  const text = waitingText(run);
  if (!text) return null;
  return (
    <span className="waiting" data-testid="waiting">
      <IconHourglass size={15} stroke={1.8} aria-hidden />
      <span>{text}</span>
    </span>
  );
}
