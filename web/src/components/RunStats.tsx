// The numbers that one wants of a run at a glance.
import type { RunDetail } from '../api/types';
import { compact, dateTime, duration, fixed, NOTHING } from '../lib/format';
import { toNumber } from '../lib/numbers';
import { Flash } from './Flash';

interface Stat {
  label: string;
  value: string;
  note?: string;
}

function statsOf(run: RunDetail): Stat[] {
  const metric = (name: string) => toNumber(run.metrics[name]);
  const perplexity = metric('eval/perplexity');
  const stepMs = metric('perf/step_ms');
  return [
    { label: 'Eval loss', value: fixed(metric('eval/loss'), 4), note: perplexity === null ? 'nats' : `perplexity ${fixed(perplexity, 2)}` },
    { label: 'Train loss', value: fixed(metric('train/loss'), 4), note: `step ${run.step.toLocaleString('en-US')}` },
    { label: 'Tokens/s', value: compact(metric('perf/tokens_per_sec')), note: stepMs === null ? '' : `${fixed(stepMs, 0)} ms a step` },
    { label: 'MaxVio', value: fixed(metric('router/maxvio'), 2), note: '0 is balanced' },
    { label: 'Parameters', value: compact(run.total_parameters), note: `${compact(run.active_parameters)} active` },
    { label: 'Tokens', value: compact(run.tokens), note: `${compact(run.flops_per_token)} FLOP a token` },
    { label: 'Runtime', value: duration(run.runtime_s), note: run.started_at ? `since ${dateTime(run.started_at).slice(-8)}` : '' },
    { label: 'Device', value: run.device ?? NOTHING, note: run.pid === null ? `seed ${run.seed}` : `pid ${run.pid} · seed ${run.seed}` },
  ];
}

export function RunStats({ run }: { run: RunDetail }) {
  return (
    <div className="card stats">
      {statsOf(run).map(({ label, value, note }) => (
        <div key={label} className="stat">
          <div className="stat-label">{label}</div>
          <div className="stat-value">
            <Flash value={value}>{value}</Flash>
          </div>
          <div className="stat-note truncate">{note || ' '}</div>
        </div>
      ))}
    </div>
  );
}
