// A difference to the baseline: sign, arrow and colour say the same thing.
import { Tooltip } from '@mantine/core';
import { IconArrowDownRight, IconArrowUpRight } from '@tabler/icons-react';

import { fixed, signed } from '../lib/format';
import { isFiniteNumber } from '../lib/numbers';

interface Props {
  delta: number | null;
  percent: number | null;
  /** Lower is better, as for a loss. */
  baseline: string | null;
  /** The run still trains: its latest evaluation stands against the baseline's. */
  soFar: boolean;
}

export function Delta({ delta, percent, baseline, soFar }: Props) {
  if (delta === null) return <span className="faint">–</span>;
  const flat = !isFiniteNumber(delta) || Math.abs(delta) < 5e-5;
  const better = delta < 0;
  const IconShown = better ? IconArrowDownRight : IconArrowUpRight;
  const share = isFiniteNumber(percent) ? ` (${percent > 0 ? '+' : ''}${fixed(percent, 2)}%)` : '';
  const meaning = flat ? 'as good as' : better ? 'lower (better) than' : 'higher (worse) than';
  return (
    <Tooltip label={`${signed(delta)}${share}: ${meaning} ${baseline ?? 'the baseline'}, same seed${soFar ? '; the run has not ended' : ''}`}>
      <span
        className={flat || soFar ? 'num soft' : better ? 'num delta-good' : 'num delta-bad'}
        style={{ display: 'inline-flex', alignItems: 'center', gap: 3, fontStyle: soFar ? 'italic' : undefined }}
        tabIndex={0}
      >
        {!flat && <IconShown size={14} stroke={2.2} aria-hidden />}
        {signed(delta)}
      </span>
    </Tooltip>
  );
}
