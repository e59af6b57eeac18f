// Every experiment with its progress, newest first.
import { Group, SegmentedControl, Skeleton, Stack, Switch, TextInput, Tooltip } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconFlask2, IconSearch, IconSearchOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';

import { experimentsQuery } from '../api/queries';
import type { Experiment } from '../api/types';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { SegmentedProgress } from '../components/SegmentedProgress';
import { StateBadge } from '../components/StateBadge';
import { useNow } from '../components/use_now';
import { ago, dateTime, duration, percent, plural } from '../lib/format';

type Show = 'all' | 'active' | 'ended';

function isActive(experiment: Experiment): boolean {
  return experiment.state === 'queued' || experiment.state === 'running' || experiment.state === 'paused';
}

function matches(experiment: Experiment, text: string): boolean {
  const words = [experiment.name, experiment.matrix, experiment.profile, experiment.notes, ...experiment.tags].join(' ').toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((part) => words.includes(part));
}

function ExperimentRow({ experiment, now }: { experiment: Experiment; now: number }) {
  return (
    <tr data-row={experiment.id}>
      <td className="stick" style={{ minWidth: 230 }}>
        <Link className="name-link" style={{ fontSize: 15 }} to={`/experiments/${experiment.id}`}>
          {experiment.name}
        </Link>
        <Group gap={6} mt={5}>
          <span className="faint" style={{ fontSize: 12.5 }}>
            {experiment.matrix}
          </span>
          {experiment.profile && <span className="tag">{experiment.profile}</span>}
          {experiment.archived && <span className="tag">archived</span>}
          {experiment.tags.map((tag) => (
            <span key={tag} className="tag">
              #{tag}
            </span>
          ))}
        </Group>
      </td>
      <td>
        <StateBadge state={experiment.state} />
      </td>
      <td style={{ minWidth: 260, width: '38%' }}>
        <SegmentedProgress counts={experiment.counts} total={experiment.total} />
      </td>
      <td className="right">
        <b>{percent(experiment.progress)}</b>
        <div className="faint" style={{ fontSize: 12 }}>
          {experiment.eta_s !== null && isActive(experiment) ? `${duration(experiment.eta_s)} left` : plural(experiment.total, 'run')}
        </div>
      </td>
      <td className="wide-only">{experiment.baseline ? <span className="mono soft">{experiment.baseline}</span> : <span className="faint">–</span>}</td>
      <td className="right soft">
        <Tooltip label={dateTime(experiment.created_at)}>
          <span>{ago(experiment.created_at, now)}</span>
        </Tooltip>
      </td>
    </tr>
  );
}

export function ExperimentsPage() {
  useDocumentTitle('Experiments · Moelab');
  const now = useNow();
  const [archived, setArchived] = useState(false);
  const { data, error, isPending, refetch } = useQuery(experimentsQuery(archived));
  const [search, setSearch] = useState('');
  const [show, setShow] = useState<Show>('all');
  const all = data?.experiments ?? [];
  const shown = all.filter((e) => matches(e, search) && (show === 'all' || isActive(e) === (show === 'active')));
  const runs = all.reduce((sum, e) => sum + e.total, 0);

  return (
    <Stack gap="lg">
      <Group justify="space-between" align="end">
        <div>
          <h1 className="page-title">Experiments</h1>
          <div className="soft num" style={{ fontSize: 14, marginTop: 2 }}>
            {data ? `${plural(all.length, 'experiment')}, ${plural(runs, 'run')}` : ' '}
          </div>
        </div>
        {(all.length > 0 || archived) && (
          <Group gap="sm">
            <Switch label="Archived" checked={archived} onChange={(event) => setArchived(event.currentTarget.checked)} />
            <SegmentedControl
              value={show}
              onChange={(value) => setShow(value as Show)}
              data={[
                { value: 'all', label: 'All' },
                { value: 'active', label: 'Active' },
                { value: 'ended', label: 'Ended' },
              ]}
              aria-label="Which experiments to show"
            />
            <TextInput
              placeholder="Name, tag, note…"
              aria-label="Search experiments"
              leftSection={<IconSearch size={16} />}
              value={search}
              onChange={(event) => setSearch(event.currentTarget.value)}
              w={230}
            />
          </Group>
        )}
      </Group>
      <div className="card" style={{ overflow: 'hidden' }}>
        {error && !data ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <Stack p="lg" gap="md" aria-busy="true" aria-label="Loading experiments">
            {Array.from({ length: 5 }, (_, i) => (
              <Skeleton key={i} h={46} radius="md" />
            ))}
          </Stack>
        ) : all.length === 0 ? (
          <EmptyState icon={IconFlask2} title="No experiments yet" command="moelab submit experiments.yaml --profile demo">
            Submit a matrix from a terminal, or with the Submit button above. Its runs, curves and expert loads appear here as they train.
          </EmptyState>
        ) : shown.length === 0 ? (
          <EmptyState icon={IconSearchOff} title="No experiment matches">
            Change the search or show all states.
          </EmptyState>
        ) : (
          <div className="table-wrap" role="region" aria-label="Experiments" tabIndex={0}>
            <table className="table">
              <thead>
                <tr>
                  <th scope="col" className="stick">
                    Experiment
                  </th>
                  <th scope="col">State</th>
                  <th scope="col">Runs</th>
                  <th scope="col" className="right">
                    Progress
                  </th>
                  <th scope="col" className="wide-only">
                    Baseline
                  </th>
                  <th scope="col" className="right">
                    Submitted
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((experiment) => (
                  <ExperimentRow key={experiment.id} experiment={experiment} now={now} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </Stack>
  );
}
