// One run: what it is doing, what came out, and everything it was told and said.
import { Skeleton, Stack, Tabs } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconAlertTriangle, IconChartLine, IconChevronRight, IconFileText, IconFolder, IconGridDots, IconHistory, IconSettings } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';

import { runQuery } from '../api/queries';
import type { RunDetail } from '../api/types';
import { CHARTS } from '../charts';
import { seriesLook, usePalette } from '../charts/palette';
import type { ChartRun, RunChart } from '../charts/types';
import { ConfigView } from '../components/ConfigView';
import { ExperimentLink } from '../components/ExperimentLink';
import { ErrorState } from '../components/ErrorState';
import { FilesView } from '../components/FilesView';
import { HistoryView } from '../components/HistoryView';
import { Knobs } from '../components/Knobs';
import { LogView } from '../components/LogView';
import { RunActions } from '../components/run_actions';
import { RunProgress } from '../components/RunProgress';
import { RunStats } from '../components/RunStats';
import { Waiting } from '../components/Waiting';
import { StateBadge } from '../components/StateBadge';
import { otherNames } from '../lib/aliases';
import { plural, sentence } from '../lib/format';
import { isTerminal } from '../lib/states';
import { NotFoundPage } from './NotFoundPage';
import { useId } from './use_id';

const TABS = [
  { id: 'metrics', label: 'Metrics', icon: IconChartLine },
  { id: 'load', label: 'Expert load', icon: IconGridDots },
  { id: 'config', label: 'Config', icon: IconSettings },
  { id: 'log', label: 'Log', icon: IconFileText },
  { id: 'events', label: 'Events', icon: IconHistory },
  { id: 'files', label: 'Artifacts', icon: IconFolder },
];

function Header({ run }: { run: RunDetail }) {
  const others = otherNames(run);
  return (
    <div>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to="/">Experiments</Link>
        <IconChevronRight size={13} aria-hidden />
        <ExperimentLink run={run} />
        {others.map((alias) => (
          <span key={`${alias.experiment_id}:${alias.name}`}>
            {' '}
            · also <Link to={`/experiments/${alias.experiment_id}`}>{`${alias.experiment} / ${alias.name}`}</Link>
          </span>
        ))}
      </nav>
      <div style={{ display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '10px 14px' }}>
        <h1 className="page-title">{run.name}</h1>
        <StateBadge state={run.state} reason={run.reason} exitCode={run.exit_code} signal={run.signal} />
        {run.is_baseline && <span className="tag tag-accent">baseline</span>}
        {run.archived && <span className="tag">archived</span>}
        {run.attempt > 1 && <span className="tag">attempt {run.attempt}</span>}
        {run.alerts.length > 0 && (
          <Link className="tag tag-alert" to="?tab=events">
            <IconAlertTriangle size={13} aria-hidden /> {plural(run.alerts.length, 'alert')}
          </Link>
        )}
        <div style={{ display: 'flex', alignItems: 'center', gap: 10, marginLeft: 'auto' }}>
          <RunActions run={run} />
        </div>
      </div>
      {Object.keys(run.varied).length > 0 && (
        <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8, marginTop: 8 }}>
          <Knobs varied={run.varied} limit={8} />
        </div>
      )}
      {run.notes && (
        <p className="soft" style={{ margin: '10px 0 0', maxWidth: 900, whiteSpace: 'pre-line' }}>
          {run.notes}
        </p>
      )}
      {run.reason && isTerminal(run.state) && run.state !== 'completed' && (
        <p className={run.state === 'cancelled' || run.state === 'pruned' ? 'soft' : 'delta-bad'} style={{ margin: '10px 0 0' }}>
          {run.reason}
        </p>
      )}
      {run.state === 'queued' && (
        <div style={{ display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '4px 14px', marginTop: 12 }}>
          <Waiting run={run} />
          <Link className="soft" style={{ fontSize: 13.5 }} to="/queue">
            See the queue
          </Link>
        </div>
      )}
      {run.state === 'paused' && <p className="soft" style={{ margin: '12px 0 0' }}>{run.reason ? `${sentence(run.reason)} ` : ''}It holds no device; "Resume" queues it again.</p>}
      {!isTerminal(run.state) && (
        <div style={{ marginTop: 14 }}>
          <RunProgress run={run} wide />
        </div>
      )}
    </div>
  );
}

function Charts({ place, runs }: { place: RunChart['places'][number]; runs: ChartRun[] }) {
  return (
    <Stack gap="lg">
      {CHARTS.filter((chart) => chart.places.includes(place)).map(({ id, title, Chart }) => (
        <section key={id} className="card" aria-labelledby={`chart-${id}`}>
          <div className="card-head">
            <h2 className="card-title" id={`chart-${id}`}>
              {title}
            </h2>
          </div>
          <div className="card-body">
            <Chart runs={runs} />
          </div>
        </section>
      ))}
    </Stack>
  );
}

function Loaded({ run }: { run: RunDetail }) {
  const palette = usePalette();
  const [params, setParams] = useSearchParams();
  const asked = params.get('tab');
  const tab = TABS.some((known) => known.id === asked) ? (asked as string) : 'metrics';
  const runs = useMemo((): ChartRun[] => [{ run, label: run.name, ...seriesLook(0, palette) }], [run, palette]);
  return (
    <Stack gap="lg">
      <Header run={run} />
      <RunStats run={run} />
      <Tabs
        value={tab}
        onChange={(value) => setParams(value && value !== 'metrics' ? { tab: value } : {}, { replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          {TABS.map(({ id, label, icon: IconShown }) => (
            <Tabs.Tab key={id} value={id} leftSection={<IconShown size={16} stroke={1.8} />}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="metrics">
          <Charts place="run-metrics" runs={runs} />
        </Tabs.Panel>
        <Tabs.Panel value="load">
          <Charts place="run-load" runs={runs} />
        </Tabs.Panel>
        <Tabs.Panel value="config">
          <ConfigView run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="log">
          <LogView run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="events">
          <HistoryView run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="files">
          <FilesView run={run} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

export default function RunPage() {
  const id = useId();
  const { data, error, isPending, refetch } = useQuery({ ...runQuery(id ?? 0), enabled: id !== null });
  useDocumentTitle(`${data?.name ?? 'Run'} · Moelab`);
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
      <Stack gap="lg" aria-busy="true" aria-label="Loading the run">
        <Skeleton h={60} w={420} />
        <Skeleton h={80} radius="lg" />
        <Skeleton h={420} radius="lg" />
      </Stack>
    );
  }
  return <Loaded key={id} run={data} />;
}
