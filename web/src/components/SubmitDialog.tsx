// Submits a matrix from the browser: paste or open the YAML, look at the plan, then queue it.
import { Alert, Button, FileButton, Group, Modal, Stack, Textarea, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconAlertTriangle, IconFileUpload, IconListSearch, IconUpload } from '@tabler/icons-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import { ApiError } from '../api/client';
import { usePlan, useSubmit } from '../api/queries';
import type { Plan, Submission } from '../api/types';
import { compact, plural } from '../lib/format';
import { StateBadge } from './StateBadge';

const EXAMPLE = `version: 1
name: my-ablation
defaults:
  data: {path: [/path/to/corpus]}
  train: {max_steps: 200}
experiments:
  - name: balance
    baseline: none
    variants:
      none: {}
      penalty: {moe.lb_coeff: 0.01}
`;

function PlanTable({ plan }: { plan: Plan }) {
  const fresh = plan.runs.filter((run) => run.state === null).length;
  return (
    <div>
      <div className="soft num" style={{ marginBottom: 8 }}>
        {plural(plan.runs.length, 'run')}: {fresh} new, {plan.runs.length - fresh} known already
      </div>
      <div className="table-wrap card" style={{ maxHeight: 300, overflowY: 'auto' }} role="region" aria-label="Plan" tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Experiment</th>
              <th scope="col">State</th>
              <th scope="col" className="right">
                Parameters
              </th>
              <th scope="col" className="right">
                Active
              </th>
              <th scope="col" className="right">
                Tokens
              </th>
            </tr>
          </thead>
          <tbody>
            {plan.runs.map((run) => (
              <tr key={`${run.experiment}/${run.name}`}>
                <td style={{ fontWeight: 600 }}>{run.name}</td>
                <td className="soft">{run.experiment}</td>
                <td>{run.state === null ? <span className="tag tag-accent">new</span> : <StateBadge state={run.state} />}</td>
                <td className="right">{compact(run.total_parameters)}</td>
                <td className="right">{compact(run.active_parameters)}</td>
                <td className="right">{compact(run.tokens)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Problems({ error }: { error: Error }) {
  const details = error instanceof ApiError ? error.details : [];
  return (
    <Alert className="problems" variant="outline" color="gray" icon={<IconAlertTriangle size={18} />} title={error.message}>
      {details.length > 0 && (
        <ul style={{ margin: 0, paddingLeft: 18 }}>
          {details.map((problem) => (
            <li key={`${problem.line}:${problem.path}:${problem.message}`}>
              {problem.line > 0 && <b>line {problem.line}: </b>}
              {problem.path && <span className="mono">{problem.path} </span>}
              {problem.message}
            </li>
          ))}
        </ul>
      )}
    </Alert>
  );
}

export function SubmitDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const navigate = useNavigate();
  const plan = usePlan();
  const submit = useSubmit();
  const [source, setSource] = useState('');
  const [file, setFile] = useState('experiments.yaml');
  const [profile, setProfile] = useState('');
  const [baseDir, setBaseDir] = useState('');

  const body: Submission = { source, file, force: false, dry_run: false, ...(profile ? { profile } : {}), ...(baseDir ? { base_dir: baseDir } : {}) };
  // A plan is of the text it was made from; with another text it is none.
  const edit = (change: () => void) => {
    change();
    plan.reset();
    submit.reset();
  };
  const open = async (chosen: File | null) => {
    if (!chosen) return;
    const text = await chosen.text();
    edit(() => {
      setSource(text);
      setFile(chosen.name);
    });
  };
  const send = () =>
    submit.mutate(body, {
      onSuccess: ({ experiments, created, reused }) => {
        notifications.show({ title: 'Submitted', message: `${plural(created, 'new run')} queued, ${reused} known already` });
        close();
        edit(() => setSource(''));
        const only = experiments.length === 1 ? experiments[0] : undefined;
        void navigate(only ? `/experiments/${only.id}` : '/');
      },
    });
  const error = submit.error ?? plan.error;
  const fresh = plan.data?.runs.filter((run) => run.state === null).length ?? 0;

  return (
    <Modal opened={opened} onClose={close} title="Submit a matrix" size={880} radius="lg" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="md">
        <Textarea
          label="experiments.yaml"
          description="Paste it here or open a file"
          placeholder={EXAMPLE}
          value={source}
          onChange={(event) => {
            const text = event.currentTarget.value;
            edit(() => setSource(text));
          }}
          autosize
          minRows={11}
          maxRows={18}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12.5 } }}
          data-autofocus
        />
        <Group grow align="start">
          <TextInput
            label="Profile"
            description="One of the file's profiles, or none"
            placeholder="demo"
            value={profile}
            onChange={(event) => {
              const text = event.currentTarget.value;
              edit(() => setProfile(text));
            }}
          />
          <TextInput
            label="Base directory"
            description="Where relative paths start, on the daemon's machine"
            placeholder="the daemon's home"
            value={baseDir}
            onChange={(event) => {
              const text = event.currentTarget.value;
              edit(() => setBaseDir(text));
            }}
          />
        </Group>
        {error && <Problems error={error} />}
        {plan.data && <PlanTable plan={plan.data} />}
        <Group justify="space-between">
          <FileButton onChange={(chosen) => void open(chosen)} accept=".yaml,.yml,text/yaml">
            {(props) => (
              <Button {...props} variant="default" leftSection={<IconFileUpload size={16} />}>
                Open a file
              </Button>
            )}
          </FileButton>
          <Group gap="sm">
            <Button
              variant={plan.data ? 'default' : 'filled'}
              leftSection={<IconListSearch size={16} />}
              disabled={source.trim() === ''}
              loading={plan.isPending}
              onClick={() => {
                submit.reset();
                plan.mutate(body);
              }}
            >
              Show the plan
            </Button>
            <Tooltip label="Look at the plan first" disabled={plan.data !== undefined}>
              <Button leftSection={<IconUpload size={16} />} disabled={!plan.data} loading={submit.isPending} onClick={send}>
                {plan.data ? `Submit ${plural(fresh, 'new run')}` : 'Submit'}
              </Button>
            </Tooltip>
          </Group>
        </Group>
      </Stack>
    </Modal>
  );
}
