// Addresses that are called when runs change their state or raise alerts.
import { ActionIcon, Button, Group, Skeleton, Stack, Switch, Tooltip } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';
import { IconPlus, IconSend, IconTrash, IconWebhook } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useDeleteWebhook, useSwitchWebhook, useTestWebhook, webhooksQuery } from '../api/webhooks';
import type { Webhook } from '../api/types';
import { AddWebhook } from '../components/AddWebhook';
import { tellFailure } from '../components/ask_verb';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { useNow } from '../components/use_now';
import { ago, dateTime, plural, sentence } from '../lib/format';
import { deliveryWords, eventWords } from '../lib/webhooks';

function Row({ hook, now }: { hook: Webhook; now: number }) {
  const test = useTestWebhook();
  const toggle = useSwitchWebhook();
  const drop = useDeleteWebhook();
  const last = hook.last_delivery;
  const askDelete = () =>
    modals.openConfirmModal({
      title: 'Delete this webhook?',
      children: `${hook.url} is called no more, and what was sent to it is forgotten.`,
      labels: { confirm: 'Delete it', cancel: 'Keep it' },
      confirmProps: { color: 'red.8' },
      onConfirm: () => drop.mutate(hook.id, { onError: (error) => tellFailure('The webhook was not deleted', error) }),
    });
  const call = () =>
    test.mutate(hook.id, {
      onSuccess: (delivery) => notifications.show({ title: 'Test call', color: delivery.result === 'delivered' ? 'teal' : 'red', message: sentence(deliveryWords(delivery)) }),
      onError: (error) => tellFailure('No test call was made', error),
    });
  return (
    <tr data-row={hook.id}>
      <td className="mono" style={{ overflowWrap: 'anywhere', minWidth: 220 }}>
        {hook.url}
      </td>
      <td style={{ minWidth: 170 }}>
        {eventWords(hook.events)}
        {hook.experiment && <div className="faint">of {hook.experiment}</div>}
      </td>
      <td style={{ minWidth: 200 }}>
        {last ? (
          <>
            <span className={last.result === 'delivered' ? undefined : 'delta-bad'}>{sentence(deliveryWords(last))}</span>
            <div className="faint" style={{ fontSize: 12 }} title={dateTime(last.last_attempt_at ?? last.created_at)}>
              {ago(last.last_attempt_at ?? last.created_at, now)}
              {hook.pending > 0 ? ` · ${plural(hook.pending, 'call')} to come` : ''}
            </div>
          </>
        ) : (
          <span className="faint">never called</span>
        )}
      </td>
      <td>
        <Switch
          checked={hook.enabled}
          aria-label={`Deliver to ${hook.url}`}
          disabled={toggle.isPending}
          onChange={(event) => toggle.mutate({ id: hook.id, enabled: event.currentTarget.checked }, { onError: (error) => tellFailure('The webhook is as it was', error) })}
        />
      </td>
      <td>
        <Group gap={6} wrap="nowrap" justify="flex-end">
          <Tooltip label="Call it now">
            <ActionIcon variant="default" onClick={call} loading={test.isPending} aria-label={`Test ${hook.url}`}>
              <IconSend size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Delete">
            <ActionIcon variant="default" onClick={askDelete} loading={drop.isPending} aria-label={`Delete ${hook.url}`}>
              <IconTrash size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </td>
    </tr>
  );
}

export function WebhooksPage() {
  useDocumentTitle('Webhooks · Moelab');
  const now = useNow();
  const [adding, setAdding] = useState(false);
  const { data, error, isPending, refetch } = useQuery(webhooksQuery);
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="end">
        <div>
          <h1 className="page-title">Webhooks</h1>
          <div className="soft" style={{ fontSize: 14, marginTop: 2 }}>
            Addresses that are called when runs change their state or raise alerts
          </div>
        </div>
        <Button leftSection={<IconPlus size={16} />} variant="default" onClick={() => setAdding(true)}>
          Add a webhook
        </Button>
      </Group>
      <div className="card" style={{ overflow: 'hidden' }}>
        {error && !data ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : isPending ? (
          <Stack p="lg" aria-busy="true" aria-label="Loading webhooks">
            <Skeleton h={40} radius="md" />
          </Stack>
        ) : data.webhooks.length === 0 ? (
          <EmptyState icon={IconWebhook} title="No webhooks">
            Add the address of a chat or a script that should hear when a run ends.
          </EmptyState>
        ) : (
          <div className="table-wrap" role="region" aria-label="Webhooks" tabIndex={0}>
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Address</th>
                  <th scope="col">When a run becomes</th>
                  <th scope="col">Last call</th>
                  <th scope="col">On</th>
                  <th scope="col" className="right">
                    Actions
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.webhooks.map((hook) => (
                  <Row key={hook.id} hook={hook} now={now} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {adding && <AddWebhook close={() => setAdding(false)} />}
    </Stack>
  );
}
