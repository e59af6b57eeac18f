// Whether the server starts runs at all, since when and why not, and the three verbs that change it.
import { Button, Group } from '@mantine/core';
import { IconDroplet, IconHandStop, IconPlayerPlay, type Icon } from '@tabler/icons-react';
import { useState } from 'react';

import { useQueueVerb, type QueueVerb } from '../api/actions';
import type { Queue } from '../api/types';
import { ago, dateTime, plural } from '../lib/format';
import { ReasonDialog } from './ReasonDialog';

const MODES: Record<Queue['mode'], { title: string; text: string; icon: Icon }> = {
  open: { title: 'Open', text: 'Runs start in the order below, as soon as a device is free.', icon: IconPlayerPlay },
  held: { title: 'On hold', text: 'Nothing new starts. What runs goes on.', icon: IconHandStop },
  drained: { title: 'Drained', text: 'Nothing new starts. What ran wrote a checkpoint and is back in the queue.', icon: IconDroplet },
};

/** While workers are still leaving. */
function draining(live: number) {
  const text = `Nothing new starts. ${plural(live, 'run')} ${live === 1 ? 'writes a checkpoint and goes' : 'write checkpoints and go'} back to the queue.`;
  return { title: 'Draining', text, icon: IconDroplet };
}

const VERBS: Record<QueueVerb, { title: string; text: string; confirm: string; icon: Icon }> = {
  hold: { title: 'Hold the queue?', text: 'No further run starts until the queue is released. Runs that train go on.', confirm: 'Hold', icon: IconHandStop },
  drain: {
    title: 'Drain the server?',
    text: 'No further run starts, and every run that trains writes a checkpoint, gives its device back and waits in the queue until it is released.',
    confirm: 'Drain',
    icon: IconDroplet,
  },
  release: { title: 'Release the queue?', text: 'Runs start again in the order below.', confirm: 'Release', icon: IconPlayerPlay },
};

const OFFERED: Record<Queue['mode'], QueueVerb[]> = { open: ['hold', 'drain'], held: ['drain', 'release'], drained: ['release'] };

export function QueueModeCard({ queue, now }: { queue: Queue; now: number }) {
  const act = useQueueVerb();
  const [asked, setAsked] = useState<QueueVerb | null>(null);
  const close = () => {
    act.reset();
    setAsked(null);
  };
  const { title, text, icon: IconShown } = queue.mode === 'drained' && queue.live > 0 ? draining(queue.live) : MODES[queue.mode];
  return (
    <section className={queue.mode === 'open' ? 'card queue-mode' : 'card queue-mode closed'} aria-label="Mode of the queue" data-mode={queue.mode}>
      <IconShown size={22} stroke={1.8} aria-hidden />
      <div style={{ flex: '1 1 300px' }}>
        <b>{title}</b>
        {queue.mode !== 'open' && queue.since && (
          <span className="soft" title={dateTime(queue.since)}>
            {' '}
            since {ago(queue.since, now)}
          </span>
        )}
        {queue.reason && <span>: {queue.reason}</span>}
        <div className="soft">{text}</div>
      </div>
      <Group gap={10}>
        {OFFERED[queue.mode].map((verb) => {
          const { confirm, icon: VerbIcon } = VERBS[verb];
          return (
            <Button key={verb} variant={verb === 'release' ? 'filled' : 'default'} leftSection={<VerbIcon size={16} />} onClick={() => setAsked(verb)}>
              {confirm}
            </Button>
          );
        })}
      </Group>
      {asked && (
        <ReasonDialog
          {...VERBS[asked]}
          {...(asked === 'release' ? {} : { hint: 'For the people who wonder; it is shown with every run that waits', example: 'driver update until noon' })}
          refused="The queue is as it was"
          error={act.error}
          pending={act.isPending}
          close={close}
          confirmed={(reason) => act.mutate({ verb: asked, reason }, { onSuccess: close })}
        />
      )}
    </section>
  );
}
