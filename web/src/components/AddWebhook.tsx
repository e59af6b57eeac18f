// Adds a webhook; its secret is shown once, since the daemon never shows it again.
import { ActionIcon, Button, Code, CopyButton, Group, Modal, MultiSelect, Stack, TextInput, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { experimentsQuery } from '../api/queries';
import { useAddWebhook } from '../api/webhooks';
import type { Webhook } from '../api/types';
import { ALL_EVENTS, DEFAULT_EVENTS, eventLabel, urlProblem } from '../lib/webhooks';
import { Refusal } from './Refusal';

function Secret({ secret, close }: { secret: string; close: () => void }) {
  return (
    <Stack gap="md">
      <p style={{ margin: 0 }}>
        Calls are signed with this secret. It is shown only now: keep it where the receiver checks <Code>X-Moelab-Signature</Code>.
      </p>
      <Group gap={6} wrap="nowrap">
        <code className="command" style={{ flex: 1 }} data-testid="secret">
          {secret}
        </code>
        <CopyButton value={secret}>
          {({ copied, copy }) => (
            <Tooltip label={copied ? 'Copied' : 'Copy'}>
              <ActionIcon variant="subtle" color="gray" onClick={copy} aria-label="Copy the secret">
                {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
              </ActionIcon>
            </Tooltip>
          )}
        </CopyButton>
      </Group>
      <Group justify="flex-end">
        <Button onClick={close}>I have it</Button>
      </Group>
    </Stack>
  );
}

export function AddWebhook({ close }: { close: () => void }) {
  const add = useAddWebhook();
  const [url, setUrl] = useState('');
  const [experiment, setExperiment] = useState('');
  const [events, setEvents] = useState<string[]>(DEFAULT_EVENTS);
  const [tried, setTried] = useState(false);
  const problem = urlProblem(url);
  const listed = useQuery(experimentsQuery(true)).data?.experiments;
  const wanted = experiment.trim();
  const unknown = wanted !== '' && listed !== undefined && !listed.some(({ name }) => name === wanted);
  const send = () => {
    setTried(true);
    if (problem !== null || events.length === 0) return;
    add.mutate({ url: url.trim(), events: events as Webhook['events'], experiment: wanted || null });
  };
  return (
    <Modal opened onClose={close} title="Add a webhook" radius="lg" centered closeButtonProps={{ 'aria-label': 'Close' }}>
      {add.data ? (
        <Secret secret={add.data.secret} close={close} />
      ) : (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <Stack gap="md">
            <TextInput
              label="Address"
              placeholder="https://example.org/hook"
              value={url}
              onChange={(event) => setUrl(event.currentTarget.value)}
              error={tried ? problem : null}
              data-autofocus
            />
            <MultiSelect
              label="When a run becomes"
              data={ALL_EVENTS.map((event) => ({ value: event, label: eventLabel(event) }))}
              value={events}
              onChange={setEvents}
              error={tried && events.length === 0 ? 'At least one' : null}
            />
            <TextInput
              label="Experiment"
              description={unknown ? 'No experiment is called so yet: nothing will be told until one is' : 'Only runs that an experiment of this name lists; empty for every run'}
              value={experiment}
              onChange={(event) => setExperiment(event.currentTarget.value)}
              maxLength={200}
            />
            {add.error && <Refusal title="The webhook was not added" error={add.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Leave it
              </Button>
              <Button type="submit" leftSection={<IconPlus size={16} />} loading={add.isPending}>
                Add
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
