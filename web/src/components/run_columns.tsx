// Owns the columns that tables of runs are made of. A column is one entry here; tables pick by id.
import { Tooltip } from '@mantine/core';
import { IconFlag3 } from '@tabler/icons-react';
import { Link } from 'react-router';

import type { ResultRow, Run } from '../api/types';
import { ago, compact, dateTime, duration, fixed, knobValue, significant } from '../lib/format';
import { otherNames } from '../lib/aliases';
import { isFiniteNumber, toNumber } from '../lib/numbers';
import { isTerminal } from '../lib/states';
import type { Column } from './DataTable';
import { Delta } from './Delta';
import { ExperimentLink } from './ExperimentLink';
import { Flash } from './Flash';
import { Knobs } from './Knobs';
import { RunProgress } from './RunProgress';
import { StateBadge } from './StateBadge';
import { waitingText } from './Waiting';

/** A run may stand twice in one experiment, under two names. */
export function rowId({ run }: RunRow): string {
  return `${run.id}:${run.name}`;
}

export interface RunRow {
  run: Run;
  /** Only in an experiment's table. */
  result?: ResultRow | undefined;
  baseline?: string | null;
  now: number;
}

function metric(row: RunRow, name: string): number | null {
  return toNumber(row.run.metrics[name]);
}

/** A diverged run has no order among losses, so it sorts with the missing ones. */
function sortable(value: number | null): number | null {
  return isFiniteNumber(value) ? value : null;
}

function metricColumn(id: string, title: string, name: string, format: (value: number | null) => string, doc: string): Column<RunRow> {
  return {
    id,
    title,
    right: true,
    doc,
    value: (row) => sortable(metric(row, name)),
    cell: (row) => {
      const value = metric(row, name);
      return <Flash value={value}>{value === null ? <span className="faint">–</span> : format(value)}</Flash>;
    },
  };
}

function NameCell({ run }: { run: Run }) {
  const others = otherNames(run);
  return (
    <span style={{ display: 'inline-flex', alignItems: 'center', gap: 7, whiteSpace: 'nowrap' }}>
      <Link className="name-link" to={`/runs/${run.id}`}>
        {run.name}
      </Link>
      {run.is_baseline && (
        <Tooltip label="Deltas are measured against this run">
          <span className="tag tag-accent">
            <IconFlag3 size={12} aria-hidden /> baseline
          </span>
        </Tooltip>
      )}
      {others.length > 0 && (
        <Tooltip label={`The same run is ${others.map((a) => `${a.experiment} / ${a.name}`).join(', ')}: it trains once`}>
          <span className="tag" tabIndex={0}>
            = {others[0]?.name}
            {others.length > 1 ? ` +${others.length - 1}` : ''}
          </span>
        </Tooltip>
      )}
    </span>
  );
}

const COLUMNS: Column<RunRow>[] = [
  { id: 'name', title: 'Run', stick: true, value: (row) => row.run.name, cell: (row) => <NameCell run={row.run} /> },
  {
    id: 'experiment',
    title: 'Experiment',
    cell: (row) => (
      <ExperimentLink className="soft name-link" style={{ fontWeight: 450 }} run={row.run} />
    ),
  },
  {
    id: 'state',
    title: 'State',
    value: (row) => row.run.state,
    cell: ({ run }) => (
      <>
        <StateBadge state={run.state} reason={run.reason} exitCode={run.exit_code} signal={run.signal} />
        {run.state === 'queued' && (
          <div className="waiting-cell" title={waitingText(run)}>
            {waitingText(run)}
          </div>
        )}
      </>
    ),
  },
  { id: 'progress', title: 'Progress', value: (row) => row.run.progress, cell: (row) => <RunProgress run={row.run} /> },
  metricColumn('eval_loss', 'Eval loss', 'eval/loss', (v) => fixed(v, 4), 'Mean next-token cross-entropy over the whole validation set, in nats'),
  {
    id: 'delta',
    title: 'Δ baseline',
    right: true,
    doc: 'Eval loss minus that of the baseline with the same seed; negative is better',
    value: (row) => (row.run.is_baseline ? null : sortable(toNumber(row.result?.delta))),
    cell: (row) =>
      row.run.is_baseline ? (
        <span className="faint">–</span>
      ) : (
        <Delta delta={toNumber(row.result?.delta)} percent={toNumber(row.result?.delta_pct)} baseline={row.baseline ?? null} soFar={!isTerminal(row.run.state)} />
      ),
  },
  metricColumn('train_loss', 'Train loss', 'train/loss', (v) => fixed(v, 4), 'Mean next-token cross-entropy of the latest step, in nats'),
  { id: 'varied', title: 'Varied knobs', cell: (row) => <Knobs varied={row.run.varied} /> },
  {
    id: 'parameters',
    title: 'Parameters',
    right: true,
    doc: 'Total, and active for one token',
    value: (row) => row.run.total_parameters,
    cell: ({ run }) => (
      <span>
        {compact(run.total_parameters)} <span className="faint">/ {compact(run.active_parameters)}</span>
      </span>
    ),
  },
  metricColumn('speed', 'Tokens/s', 'perf/tokens_per_sec', (v) => compact(v), 'Training tokens per second'),
  metricColumn('maxvio', 'MaxVio', 'router/maxvio', (v) => fixed(v, 2), 'Largest expert load over the mean, minus 1; 0 is perfect balance'),
  metricColumn('dead', 'Dead experts', 'router/dead', (v) => significant(v, 3), 'Experts without a token over the last 100 logged steps, layer mean'),
  { id: 'seed', title: 'Seed', right: true, value: (row) => row.run.seed, cell: (row) => knobValue(row.run.seed) },
  { id: 'device', title: 'Device', cell: (row) => <span className="mono soft">{row.run.device ?? '–'}</span> },
  {
    id: 'runtime',
    title: 'Runtime',
    right: true,
    value: (row) => row.run.runtime_s,
    cell: (row) => duration(row.run.runtime_s),
  },
  {
    id: 'queued',
    title: 'Queued',
    right: true,
    value: (row) => (row.run.queued_at ? Date.parse(row.run.queued_at) : null),
    cell: (row) => <span title={dateTime(row.run.queued_at)}>{ago(row.run.queued_at, row.now)}</span>,
  },
];

const byId = new Map(COLUMNS.map((column) => [column.id, column]));

export function runColumns(ids: readonly string[]): Column<RunRow>[] {
  return ids.map((id) => {
    const column = byId.get(id);
    if (!column) throw new Error(`no run column "${id}"`);
    return column;
  });
}
