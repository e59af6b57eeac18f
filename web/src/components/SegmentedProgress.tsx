// Runs by state as one bar and a legend; the words carry the meaning, the colours only help.
import type { CSSProperties } from 'react';

import { lookOf, SEGMENT_ORDER } from '../lib/states';

interface Props {
  counts: Record<string, number>;
  total: number;
}

export function SegmentedProgress({ counts, total }: Props) {
  const present = SEGMENT_ORDER.filter((state) => (counts[state] ?? 0) > 0);
  const summary = present.map((state) => `${counts[state]} ${lookOf(state).label.toLowerCase()}`).join(', ');
  return (
    <div>
      <div className="segments" role="img" aria-label={`${total} runs: ${summary || 'none'}`}>
        {present.map((state) => (
          <span
            key={state}
            className={state === 'queued' ? 'queued' : 'part'}
            style={{ flex: `${counts[state]} 0 0`, '--state': lookOf(state).color } as CSSProperties}
          />
        ))}
      </div>
      <div className="counts num" style={{ marginTop: 7 }} aria-hidden>
        {present.map((state) => {
          const look = lookOf(state);
          return (
            <span key={state}>
              <look.icon size={14} stroke={2} color={look.color} />
              {counts[state]} {look.label.toLowerCase()}
            </span>
          );
        })}
      </div>
    </div>
  );
}
