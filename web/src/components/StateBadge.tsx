// A run's state as icon, word and colour; hovering tells why.
import { Tooltip } from '@mantine/core';
import type { CSSProperties } from 'react';

import { lookOf } from '../lib/states';

interface Props {
  state: string;
  reason?: string;
  exitCode?: number | null;
  signal?: number | null;
}

function why({ reason, exitCode, signal }: Props): string {
  const parts = [reason];
  if (exitCode) parts.push(`exit code ${exitCode}`);
  if (signal) parts.push(`signal ${signal}`);
  return parts.filter(Boolean).join(' · ');
}

export function StateBadge(props: Props) {
  const look = lookOf(props.state);
  const text = why(props);
  const badge = (
    <span className="state" style={{ '--state': look.color } as CSSProperties} data-state={props.state} tabIndex={text ? 0 : undefined}>
      <look.icon size={15} stroke={2} className={look.spin ? 'spin' : undefined} aria-hidden />
      {look.label}
    </span>
  );
  return text ? (
    <Tooltip label={text} multiline maw={420}>
      {badge}
    </Tooltip>
  ) : (
    badge
  );
}
