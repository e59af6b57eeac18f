// The queue in the order of turns: who is next, and why each run waits.
import { ActionIcon, Button, Group, Skeleton, Stack, Tooltip } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconBolt, IconMoodHappy } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';

import { queueQuery } from '../api/queries';
import type { Queue, Run } from '../api/types';
import { useAskRun } from '../components/ask_verb';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { ExperimentLink } from '../components/ExperimentLink';
import { ForceDialog } from '../components/ForceDialog';
import { PriorityCell } from '../components/PriorityCell';
import { QueueModeCard } from '../components/QueueModeCard';
import { useNow } from '../components/use_now';
import { Waiting } from '../components/Waiting';
import { ago, dateTime, plural } from '../lib/format';
import { VERBS, type PageVerb } from '../lib/verbs';

const AT_FIRST = 100;
const MOST = 1000; // of the contract

const OFFERED: PageVerb[] = ['pause', 'cancel'];

function Row({ run, turn, now, force }: { run: Run; turn: number; now: number; force: (run: Run) => void }) {
  const { askRun } = useAskRun();
  return (
    <tr data-row={run.id}>
      <td className="right soft">{turn}</td>
      <td>
        <Link className="name-link" to={`/runs/${run.id}`}>
          {run.name}
        </Link>
        <div style={{ fontSize: 12.5 }}>
          <ExperimentLink className="faint name-link" style={{ fontWeight: 450 }} run={run} />
        </div>
      </td>
      <td className="queue-why">
        <Waiting run={run} />
      </td>
      <td>
        <PriorityCell run={run} />
      </td>
      <td className="right soft">
        <span title={dateTime(run.queued_at)}>{ago(run.queued_at, now)}</span>
      </td>
      <td>
        <Group gap={6} wrap="nowrap" justify="flex-end">
          <Tooltip label="Force start">
            <ActionIcon variant="default" onClick={() => force(run)} aria-label={`Force ${run.name} to start`}>
              <IconBolt size={16} />
            </ActionIcon>
          </Tooltip>
          {OFFERED.map((verb) => {
            const { icon: IconShown, label } = VERBS[verb];
            return (
              <Tooltip key={verb} label={label}>
                <ActionIcon variant="default" onClick={() => askRun(verb, run)} aria-label={`${label} ${run.name}`}>
                  <IconShown size={16} />
                </ActionIcon>
              </Tooltip>
            );
          })}
        </Group>
      </td>
    </tr>
  );
}

function Turns({ queue, now }: { queue: Queue; now: number }) {
  const [forced, setForced] = useState<Run | null>(null);
  return (
    <div className="table-wrap" role="region" aria-label="Queued runs" tabIndex={0}>
      <table className="table queue-table">
        <thead>
          <tr>
            <th scope="col" className="right">
              Turn
            </th>
            <th scope="col">Run</th>
            <th scope="col">Why it waits</th>
            <th scope="col" title="Larger runs sooner">
              Priority
            </th>
            <th scope="col" className="right">
              Queued
            </th>
            <th scope="col" className="right">
              Actions
            </th>
          </tr>
        </thead>
        <tbody>
          {queue.runs.map((run, i) => (
            <Row key={run.id} run={run} turn={i + 1} now={now} force={setForced} />
          ))}
        </tbody>
      </table>
      {forced && <ForceDialog run={forced} opened close={() => setForced(null)} />}
    </div>
  );
}

export function QueuePage() {
  useDocumentTitle('Queue · Moelab');
  const now = useNow();
  const [limit, setLimit] = useState(AT_FIRST);
  const { data, error, isPending, isPlaceholderData, refetch } = useQuery(queueQuery(limit));
  const left = data ? data.total - data.runs.length : 0;
  return (
    <Stack gap="lg">
      <div>
        <h1 className="page-title">Queue</h1>
        <div className="soft num" style={{ fontSize: 14, marginTop: 2 }}>
          {data ? `${plural(data.total, 'run')} queued, ${data.live} with a worker` : ' '}
        </div>
      </div>
      {data && <QueueModeCard queue={data} now={now} />}
      {data && error && (
        <div className="delta-bad" role="status">
          What you see may be old: {error.message}
        </div>
      )}
      <div className="card" style={{ overflow: 'hidden' }}>
        {error && !data ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <Stack p="lg" gap="md" aria-busy="true" aria-label="Loading the queue">
            {Array.from({ length: 5 }, (_, i) => (
              <Skeleton key={i} h={40} radius="md" />
            ))}
          </Stack>
        ) : data.runs.length === 0 ? (
          <EmptyState icon={IconMoodHappy} title="Nothing waits" command="moelab submit experiments.yaml">
            Every run that was submitted has started, ended, or is paused.
          </EmptyState>
        ) : (
          <Turns queue={data} now={now} />
        )}
      </div>
      {data && left > 0 && (
        <Group justify="center">
          {limit < MOST ? (
            <Button variant="default" loading={isPlaceholderData} onClick={() => setLimit(MOST)}>
              Show more ({left.toLocaleString('en-US')} left)
            </Button>
          ) : (
            <span className="soft num">and {plural(left, 'more run')}; the runs page lists them all</span>
          )}
        </Group>
      )}
    </Stack>
  );
}
