// One experiment: its runs against their baseline, live, and the curves and expert loads of the ticked ones together.
import { Checkbox, Group, Skeleton, Stack, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconChevronRight, IconSearch, IconSearchOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { SortingState } from '@tanstack/react-table';
import { useMemo, useState, type CSSProperties } from 'react';
import { Link, useSearchParams } from 'react-router';

import { experimentQuery, membersQuery, resultsQuery } from '../api/queries';
import type { ExperimentDetail, Run } from '../api/types';
import { CHARTS } from '../charts';
import { seriesLook, usePalette } from '../charts/palette';
import type { ChartRun } from '../charts/types';
import { ColumnMenu } from '../components/ColumnMenu';
import { DataTable, type Column } from '../components/DataTable';
import { ExperimentActions } from '../components/ExperimentActions';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { rowId, runColumns, type RunRow } from '../components/run_columns';
import { LrSweepCard } from '../components/LrSweepCard';
import { StatisticsCard } from '../components/StatisticsCard';
import { SegmentedProgress } from '../components/SegmentedProgress';
import { StateBadge } from '../components/StateBadge';
import { useNow } from '../components/use_now';
import { dateTime, duration, plural } from '../lib/format';
import { lookOf } from '../lib/states';
import { NotFoundPage } from './NotFoundPage';
import { useId } from './use_id';

const DATA_COLUMNS = runColumns([
  'name',
  'state',
  'progress',
  'eval_loss',
  'delta',
  'train_loss',
  'varied',
  'parameters',
  'speed',
  'maxvio',
  'dead',
  'seed',
  'device',
  'runtime',
]);
const HIDDEN = ['train_loss', 'dead', 'seed'];
const HIDDEN_NARROW = [...HIDDEN, 'parameters', 'device', 'runtime'];
const MAX_TICKED = 8;
const TICKED_AT_FIRST = 4;

/** The baseline and the first runs that have something to draw. */
function firstTicked(runs: Run[]): number[] {
  const drawable = runs.filter((run) => Object.keys(run.metrics).length > 0);
  const ordered = [...drawable].sort((a, b) => Number(b.is_baseline) - Number(a.is_baseline));
  return [...new Set(ordered.map((run) => run.id))].slice(0, TICKED_AT_FIRST);
}

function matches({ run }: RunRow, text: string): boolean {
  const knobs = Object.entries(run.varied).map(([path, value]) => `${path}=${String(value)}`);
  const words = [run.name, lookOf(run.state).label, run.device ?? '', ...knobs, ...run.aliases.map((a) => a.name), ...run.tags].join(' ').toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((part) => words.includes(part));
}

function Header({ experiment, runs }: { experiment: ExperimentDetail; runs: Run[] }) {
  return (
    <div>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/">Experiments</Link>
        <IconChevronRight size={13} aria-hidden />
        <span>{experiment.matrix}</span>
      </nav>
      <div className="page-head">
        <div style={{ minWidth: 0 }}>
          <Group gap={12}>
            <h1 className="page-title">{experiment.name}</h1>
            <StateBadge state={experiment.state} />
            {experiment.archived && <span className="tag">archived</span>}
          </Group>
          <Group gap={6} mt={6}>
            {experiment.profile && <span className="tag">profile {experiment.profile}</span>}
            {experiment.tags.map((tag) => (
              <span key={tag} className="tag">
                #{tag}
              </span>
            ))}
            <span className="faint" style={{ fontSize: 13 }}>
              {experiment.source} · submitted {dateTime(experiment.created_at)}
            </span>
          </Group>
        </div>
        <ExperimentActions experiment={experiment} runs={runs} />
      </div>
      {experiment.notes && (
        <p className="soft" style={{ margin: '12px 0 0', maxWidth: 900, whiteSpace: 'pre-line' }}>
          {experiment.notes}
        </p>
      )}
    </div>
  );
}

function tickColumn(ticked: number[], chartRuns: Map<number, ChartRun>, toggle: (id: number) => void): Column<RunRow> {
  return {
    id: 'chart',
    title: '',
    cell: ({ run }) => {
      const look = chartRuns.get(run.id);
      return (
        <span style={{ display: 'inline-flex', alignItems: 'center', gap: 8 }}>
          <Checkbox
            size="xs"
            checked={look !== undefined}
            disabled={!look && ticked.length >= MAX_TICKED}
            onChange={() => toggle(run.id)}
            aria-label={`Draw ${run.name}`}
          />
          <span
            className={look?.dashed ? 'swatch dashed' : 'swatch'}
            style={{ '--swatch': look?.color ?? 'transparent' } as CSSProperties}
          />
        </span>
      );
    },
  };
}

function Loaded({ experiment }: { experiment: ExperimentDetail }) {
  const now = useNow();
  const palette = usePalette();
  // An archived experiment would be empty without its runs.
  const members = useQuery(membersQuery(experiment.id, experiment.archived));
  const results = useQuery(resultsQuery(experiment.id, experiment.archived));
  const [search, setSearch] = useState('');
  const [sorting, setSorting] = useState<SortingState>([]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(() => new Set(window.innerWidth < 1100 ? HIDDEN_NARROW : HIDDEN));
  const [params, setParams] = useSearchParams();
  const runs = useMemo(() => members.data ?? [], [members.data]);

  // The ticked runs live in the address, so that a comparison can be sent to somebody.
  const fromUrl = params.get('runs');
  const ticked = useMemo(() => (fromUrl === null ? firstTicked(runs) : fromUrl.split(',').filter(Boolean).map(Number)), [fromUrl, runs]);
  const toggle = (id: number) => {
    const next = ticked.includes(id) ? ticked.filter((other) => other !== id) : [...ticked, id];
    setParams({ runs: next.join(',') }, { replace: true });
  };
  const chartRuns = useMemo(() => {
    const byId = new Map(runs.toReversed().map((run) => [run.id, run])); // under its first name
    return ticked.flatMap((id, i): ChartRun[] => {
      const run = byId.get(id);
      return run ? [{ run, label: run.name, ...seriesLook(i, palette) }] : [];
    });
  }, [runs, ticked, palette]);
  const looks = new Map(chartRuns.map((chartRun) => [chartRun.run.id, chartRun]));

  const resultOf = new Map(results.data?.rows.map((row) => [`${row.run_id}:${row.name}`, row]));
  const rows = runs.map((run): RunRow => ({ run, result: resultOf.get(`${run.id}:${run.name}`), baseline: results.data?.baseline ?? null, now }));
  const shown = rows.filter((row) => matches(row, search));
  const columns = [tickColumn(ticked, looks, toggle), ...DATA_COLUMNS];

  return (
    <Stack gap="lg">
      <Header experiment={experiment} runs={runs} />
      <div className="card card-body">
        <Group justify="space-between" mb={8}>
          <b className="num">
            {plural(experiment.total, 'run')}, {Math.floor(experiment.progress * 100)}% done
          </b>
          <span className="soft num" style={{ fontSize: 13.5 }}>
            {experiment.eta_s !== null ? `about ${duration(experiment.eta_s)} left` : ''}
          </span>
        </Group>
        <SegmentedProgress counts={experiment.counts} total={experiment.total} />
      </div>

      <section className="card" style={{ overflow: 'hidden' }} aria-labelledby="runs-title">
        <div className="card-head" style={{ paddingBottom: 14 }}>
          <h2 className="card-title" id="runs-title">
            Runs
          </h2>
          <span className="faint" style={{ fontSize: 13 }}>
            {results.data?.baseline ? (
              <>
                Δ against <span className="mono">{results.data.baseline}</span>, same seed; lower is better
              </>
            ) : (
              'no baseline'
            )}
          </span>
          <Group gap="sm" ml="auto">
            <TextInput
              placeholder="Name, state, knob=value…"
              aria-label="Filter the runs"
              leftSection={<IconSearch size={16} />}
              value={search}
              onChange={(event) => setSearch(event.currentTarget.value)}
              w={230}
            />
            <ColumnMenu columns={DATA_COLUMNS} hidden={hidden} setHidden={setHidden} />
          </Group>
        </div>
        {members.error && !members.data ? (
          <ErrorState error={members.error} retry={() => void members.refetch()} />
        ) : members.isPending ? (
          <Stack p="lg" pt={0} gap="sm">
            {Array.from({ length: 6 }, (_, i) => (
              <Skeleton key={i} h={36} radius="md" />
            ))}
          </Stack>
        ) : shown.length === 0 ? (
          <EmptyState icon={IconSearchOff} title={rows.length ? 'No run matches' : 'This experiment has no runs'} />
        ) : (
          <DataTable
            label={`Runs of ${experiment.name}`}
            rows={shown}
            columns={columns}
            rowId={rowId}
            sorting={sorting}
            setSorting={setSorting}
            hidden={hidden}
            rowClass={(row) => (row.run.is_baseline ? 'baseline' : undefined)}
          />
        )}
        {results.error && (
          <div className="delta-bad" style={{ padding: '8px 18px', fontSize: 13 }}>
            Deltas are missing: {results.error.message}
          </div>
        )}
      </section>

      <StatisticsCard experiment={experiment.id} runs={runs} />
      <LrSweepCard experiment={experiment} />

      {CHARTS.filter((chart) => chart.places.includes('experiment')).map(({ id, title, Chart }) => (
        <section key={id} className="card" aria-labelledby={`chart-${id}`}>
          <div className="card-head">
            <h2 className="card-title" id={`chart-${id}`}>
              {title}
            </h2>
            <div className="legend" style={{ marginLeft: 'auto' }}>
              {chartRuns.map(({ run, label, color, dashed }) => (
                <span key={run.id}>
                  <span className={dashed ? 'swatch dashed' : 'swatch'} style={{ '--swatch': color } as CSSProperties} />
                  {label}
                </span>
              ))}
            </div>
          </div>
          <div className="card-body">
            {chartRuns.length > 0 ? (
              <Chart runs={chartRuns} />
            ) : members.isPending ? (
              <Skeleton h={260} radius="md" />
            ) : (
              <p className="soft">Tick runs in the table to draw them here.</p>
            )}
          </div>
        </section>
      ))}
    </Stack>
  );
}

export default function ExperimentPage() {
  const id = useId();
  const { data, error, isPending, refetch } = useQuery({ ...experimentQuery(id ?? 0), enabled: id !== null });
  useDocumentTitle(`${data?.name ?? 'Experiment'} · Moelab`);
  if (id === null) return <NotFoundPage />;
  if (error && !data) {
    return (
      <div className="card">
        <ErrorState error={error} retry={() => void refetch()} />
      </div>
    );
  }
  if (isPending) {
    return (
      <Stack gap="lg" aria-busy="true" aria-label="Loading the experiment">
        <Skeleton h={60} w={420} />
        <Skeleton h={92} radius="lg" />
        <Skeleton h={320} radius="lg" />
      </Stack>
    );
  }
  return <Loaded key={id} experiment={data} />;
}
