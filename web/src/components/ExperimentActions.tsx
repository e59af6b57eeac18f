// What can be done to all runs of an experiment together.
import { Button, Group } from '@mantine/core';

import type { Experiment, Run } from '../api/types';
import { canDeleteExperiment } from '../lib/deletion';
import { applicable, VERBS, type PageVerb } from '../lib/verbs';
import { useAskDeleteExperiment } from './ask_delete';
import { useAskExperiment } from './ask_verb';
import { VerbMenu } from './VerbMenu';

const BUTTONS: PageVerb[] = ['resume', 'pause', 'cancel'];

export function ExperimentActions({ experiment, runs }: { experiment: Experiment; runs: readonly Run[] }) {
  const { askExperiment, pending } = useAskExperiment();
  const deletion = useAskDeleteExperiment();
  const distinct = [...new Map(runs.map((run) => [run.id, run])).values()]; // a run may be listed twice
  const verbs = applicable(distinct);
  const act = (verb: PageVerb) => askExperiment(verb, experiment, distinct);
  return (
    <Group gap={10} wrap="nowrap" style={{ flex: 'none' }}>
      {BUTTONS.filter((verb) => verbs.some((known) => known.verb === verb)).map((verb) => {
        const { icon: IconShown, label } = VERBS[verb];
        return (
          <Button
            key={verb}
            variant={verb === 'resume' ? 'light' : 'default'}
            leftSection={<IconShown size={16} />}
            onClick={() => act(verb)}
            disabled={pending}
            aria-label={`${label} the runs of ${experiment.name}`}
          >
            {label}
          </Button>
        );
      })}
      <VerbMenu
        label={`More for ${experiment.name}`}
        verbs={verbs.filter(({ verb }) => !BUTTONS.includes(verb))}
        act={act}
        loading={pending || deletion.pending}
        {...(canDeleteExperiment(experiment) ? { remove: () => deletion.askDelete(experiment, distinct, experiment.total - runs.length) } : {})}
      />
    </Group>
  );
}
