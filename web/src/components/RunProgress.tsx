// How far one run is: steps while it trains, bytes while it prepares its data.
import type { CSSProperties } from 'react';

import type { Run } from '../api/types';
import { compact, duration, percent } from '../lib/format';
import { isLive, lookOf } from '../lib/states';

const PHASES: Record<string, string> = { tokenize: 'Tokenising', train_tokenizer: 'Training the tokenizer' };

export function RunProgress({ run, wide = false }: { run: Run; wide?: boolean }) {
  const phase = run.phase && run.phase.total > 0 ? run.phase : null;
  const share = phase ? phase.done / phase.total : run.progress;
  const done = phase
    ? `${PHASES[phase.name] ?? phase.name} ${percent(share)}`
    : `${run.step.toLocaleString('en-US')}${run.max_steps ? ` / ${wide || run.max_steps < 1e5 ? run.max_steps.toLocaleString('en-US') : compact(run.max_steps)}` : ''}`;
  const eta = isLive(run.state) && run.eta_s !== null ? duration(run.eta_s) : null;
  return (
    <div style={{ minWidth: wide ? 200 : 112 }}>
      <div
        className="bar"
        role="progressbar"
        aria-label={`Progress of ${run.name}`}
        aria-valuenow={Math.round(share * 100)}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <span style={{ width: `${share * 100}%`, '--state': lookOf(run.state).color } as CSSProperties} />
      </div>
      <div className="num faint" style={{ display: 'flex', justifyContent: 'space-between', gap: 10, fontSize: 12, marginTop: 4, whiteSpace: 'nowrap' }}>
        <span>{done}{wide && !phase ? ' steps' : ''}</span>
        {eta && <span>{eta} left</span>}
      </div>
    </div>
  );
}
