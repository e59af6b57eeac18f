// Owns what can be done to one run: the common verbs as buttons, the rare ones in a menu, each behind a question.
import { Button, Menu } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconBolt } from '@tabler/icons-react';
import { useNavigate } from 'react-router';

import type { Run } from '../api/types';
import { canDelete } from '../lib/deletion';
import { VERBS, type PageVerb } from '../lib/verbs';
import { useAskDeleteRuns } from './ask_delete';
import { useAskRun } from './ask_verb';
import { ForceDialog } from './ForceDialog';
import { VerbMenu } from './VerbMenu';

const BUTTONS: PageVerb[] = ['resume', 'retry', 'pause', 'cancel'];
const RARE: PageVerb[] = ['kill', 'rerun', 'archive', 'unarchive'];

export function RunActions({ run }: { run: Run }) {
  const { askRun, pending } = useAskRun();
  const navigate = useNavigate();
  const { askDelete, pending: deleting } = useAskDeleteRuns(() => void navigate(run.experiment_id === null ? '/runs' : `/experiments/${run.experiment_id}`));
  const [forcing, { open, close }] = useDisclosure(false);
  const can = (verb: PageVerb) => VERBS[verb].can(run.state, run.archived);
  return (
    <>
      {BUTTONS.filter(can).map((verb) => {
        const { icon: IconShown, label } = VERBS[verb];
        const first = verb === 'resume' || verb === 'retry';
        return (
          <Button
            key={verb}
            variant={first ? 'light' : 'default'}
            leftSection={<IconShown size={16} />}
            onClick={() => askRun(verb, run)}
            loading={pending === verb}
          >
            {label}
          </Button>
        );
      })}
      <VerbMenu
        label={`More for ${run.name}`}
        verbs={RARE.filter(can).map((verb) => ({ verb }))}
        act={(verb) => askRun(verb, run)}
        loading={deleting || (pending !== null && RARE.includes(pending as PageVerb))}
        {...(canDelete(run) ? { remove: () => askDelete([run]) } : {})}
      >
        {run.state === 'queued' && (
          <Menu.Item leftSection={<IconBolt size={16} />} onClick={open}>
            Force start
          </Menu.Item>
        )}
      </VerbMenu>
      <ForceDialog run={run} opened={forcing} close={close} />
    </>
  );
}
