// The knobs in which a run differs from its siblings, as small badges; what does not fit is in the tooltip.
import { Tooltip } from '@mantine/core';

import { knobName, knobValue } from '../lib/format';

export function Knobs({ varied, limit = 2 }: { varied: Record<string, unknown>; limit?: number }) {
  const knobs = Object.entries(varied);
  if (knobs.length === 0) return <span className="faint">–</span>;
  const rest = knobs.slice(limit);
  return (
    <span style={{ display: 'inline-flex', flexWrap: 'wrap', gap: 4, width: 'max-content', maxWidth: limit > 2 ? '100%' : 205 }}>
      {knobs.slice(0, limit).map(([path, value]) => (
        <Tooltip key={path} label={`${path} = ${knobValue(value)}`}>
          <span className="tag knob">
            {knobName(path)} <b>{knobValue(value)}</b>
          </span>
        </Tooltip>
      ))}
      {rest.length > 0 && (
        <Tooltip multiline maw={420} label={rest.map(([path, value]) => `${path} = ${knobValue(value)}`).join(', ')}>
          <span className="tag" tabIndex={0}>
            +{rest.length}
          </span>
        </Tooltip>
      )}
    </span>
  );
}
