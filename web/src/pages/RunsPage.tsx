// Every run of every experiment: filtered, sorted and paged by the server, so that thousands stay quick. Ticked rows are acted on together.
import { Button, Group, MultiSelect, Skeleton, Stack, Switch, TextInput } from '@mantine/core';
import { useDebouncedValue, useDocumentTitle } from '@mantine/hooks';
import { IconListDetails, IconSearch, IconSearchOff } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import type { SortingState } from '@tanstack/react-table';
import { useState } from 'react';

import { runsQuery } from '../api/queries';
import { BulkBar } from '../components/BulkBar';
import { ColumnMenu } from '../components/ColumnMenu';
import { DataTable, type Column } from '../components/DataTable';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { chooseColumn } from '../components/choose_column';
import { rowId, runColumns, type RunRow } from '../components/run_columns';
import { useNow } from '../components/use_now';
import { plural } from '../lib/format';
import { STATES } from '../lib/states';

/** Column -> what the server sorts by; a column that is not here cannot be sorted across pages. */
const SORT_KEYS: Record<string, string> = {
  name: 'name',
  state: 'state',
  eval_loss: 'metrics.eval/loss',
  train_loss: 'metrics.train/loss',
  speed: 'metrics.perf/tokens_per_sec',
  maxvio: 'metrics.router/maxvio',
  dead: 'metrics.router/dead',
  queued: 'id',
};

const COLUMNS: Column<RunRow>[] = runColumns([
  'name',
  'experiment',
  'state',
  'progress',
  'eval_loss',
  'train_loss',
  'varied',
  'parameters',
  'speed',
  'maxvio',
  'dead',
  'seed',
  'device',
  'runtime',
  'queued',
]).map((column) => {
  if (column.id in SORT_KEYS) return column;
  const { value: _unsortable, ...rest } = column;
  return rest;
});

const HIDDEN = ['train_loss', 'dead', 'seed', 'parameters', 'device'];
const HIDDEN_NARROW = [...HIDDEN, 'varied', 'runtime', 'speed', 'maxvio'];

export function RunsPage() {
  useDocumentTitle('Runs · Moelab');
  const now = useNow();
  const [states, setStates] = useState<string[]>([]);
  const [search, setSearch] = useState('');
  const [archived, setArchived] = useState(false);
  const [settled] = useDebouncedValue(search, 250);
  const [sorting, setSorting] = useState<SortingState>([{ id: 'queued', desc: true }]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(() => new Set(window.innerWidth < 1100 ? HIDDEN_NARROW : HIDDEN));
  const order = sorting[0];
  const sort = `${order?.desc ? '-' : ''}${SORT_KEYS[order?.id ?? ''] ?? 'id'}`;
  const { data, error, isPending, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery(
    runsQuery({ state: states.join(','), search: settled.trim(), sort, archived }),
  );
  const rows = data?.pages.flatMap((page) => page.runs.map((run): RunRow => ({ run, now }))) ?? [];
  const total = data?.pages[0]?.total ?? 0;
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  // What is no longer listed must not be acted on unseen.
  const acted = rows.filter(({ run }) => chosen.has(run.id)).map(({ run }) => run);
  const filtered = states.length > 0 || settled.trim() !== '';

  return (
    <Stack gap="lg">
      <Group justify="space-between" align="end">
        <div>
          <h1 className="page-title">Runs</h1>
          <div className="soft num" style={{ fontSize: 14, marginTop: 2 }}>
            {data ? `${plural(total, 'run')}${filtered ? ' match' : ''}` : ' '}
          </div>
        </div>
        <Group gap="sm">
          <Switch label="Archived" checked={archived} onChange={(event) => setArchived(event.currentTarget.checked)} />
          <MultiSelect
            data={Object.entries(STATES).map(([value, look]) => ({ value, label: look.label }))}
            value={states}
            onChange={setStates}
            placeholder={states.length ? '' : 'Any state'}
            aria-label="States to show"
            clearable
            w={{ base: 200, md: 260 }}
          />
          <TextInput
            placeholder="Run or experiment…"
            aria-label="Search runs"
            leftSection={<IconSearch size={16} />}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            w={210}
          />
          <ColumnMenu columns={COLUMNS} hidden={hidden} setHidden={setHidden} />
        </Group>
      </Group>
      <div className="card" style={{ overflow: 'hidden' }}>
        <BulkBar runs={acted} clear={() => setChosen(new Set())} />
        {error && !data ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <Stack p="lg" gap="md" aria-busy="true" aria-label="Loading runs">
            {Array.from({ length: 8 }, (_, i) => (
              <Skeleton key={i} h={34} radius="md" />
            ))}
          </Stack>
        ) : rows.length === 0 && !filtered ? (
          <EmptyState icon={IconListDetails} title="No runs yet" command="moelab submit experiments.yaml --profile demo">
            Every run of every experiment is listed here.
          </EmptyState>
        ) : rows.length === 0 ? (
          <EmptyState icon={IconSearchOff} title="No run matches">
            Change the search or the states.
          </EmptyState>
        ) : (
          <DataTable
            label="Runs"
            rows={rows}
            columns={[chooseColumn(rows, chosen, setChosen), ...COLUMNS]}
            rowId={rowId}
            sorting={sorting}
            setSorting={setSorting}
            hidden={hidden}
            manual
          />
        )}
      </div>
      {hasNextPage && (
        <Group justify="center">
          <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Show more ({(total - rows.length).toLocaleString('en-US')} left)
          </Button>
        </Group>
      )}
    </Stack>
  );
}
