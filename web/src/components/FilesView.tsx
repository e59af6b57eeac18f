// What a run left on disk: artifacts and checkpoints, and where.
import { ActionIcon, CopyButton, Group, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy, IconFolderOff, IconStarFilled } from '@tabler/icons-react';

import type { RunDetail } from '../api/types';
import { bytes } from '../lib/format';
import { EmptyState } from './EmptyState';

function CopyPath({ path, label }: { path: string; label: string }) {
  return (
    <CopyButton value={path}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : 'Copy the path'}>
          <ActionIcon variant="subtle" color="gray" size="sm" onClick={copy} aria-label={label}>
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

export function FilesView({ run }: { run: RunDetail }) {
  return (
    <>
      <Group gap={6} mb="md">
        <span className="soft">Run directory</span>
        <code className="command" style={{ padding: '4px 10px' }}>
          {run.run_dir}
        </code>
        <CopyPath path={run.run_dir} label="Copy the path of the run directory" />
      </Group>
      {run.artifacts.length + run.checkpoints.length === 0 ? (
        <div className="card">
          <EmptyState icon={IconFolderOff} title="No files yet">
            Checkpoints and artifacts appear here as the worker writes them.
          </EmptyState>
        </div>
      ) : (
        <div className="two-columns">
          {run.checkpoints.length > 0 && (
            <section className="card" style={{ overflow: 'hidden' }} aria-label="Checkpoints">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Checkpoint</th>
                    <th scope="col">Path</th>
                    <th scope="col">
<span className="hidden-visually">Copy</span>
</th>
                  </tr>
                </thead>
                <tbody>
                  {run.checkpoints.map((checkpoint) => (
                    <tr key={checkpoint.path}>
                      <td className="num" style={{ whiteSpace: 'nowrap' }}>
                        step {checkpoint.step.toLocaleString('en-US')}{' '}
                        {checkpoint.best && (
                          <span className="tag tag-accent">
                            <IconStarFilled size={10} aria-hidden /> best
                          </span>
                        )}
                      </td>
                      <td className="mono soft" style={{ overflowWrap: 'anywhere' }}>
                        {checkpoint.path}
                      </td>
                      <td className="right">
                        <CopyPath path={`${run.run_dir}/${checkpoint.path}`} label={`Copy the path of step ${checkpoint.step}`} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )}
          {run.artifacts.length > 0 && (
            <section className="card" style={{ overflow: 'hidden' }} aria-label="Artifacts">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Artifact</th>
                    <th scope="col">Path</th>
                    <th scope="col" className="right">
                      Size
                    </th>
                    <th scope="col">
<span className="hidden-visually">Copy</span>
</th>
                  </tr>
                </thead>
                <tbody>
                  {run.artifacts.map((artifact) => (
                    <tr key={artifact.path}>
                      <td>
                        {artifact.name} <span className="tag">{artifact.kind}</span>
                      </td>
                      <td className="mono soft" style={{ overflowWrap: 'anywhere' }}>
                        {artifact.path}
                      </td>
                      <td className="right">{bytes(artifact.bytes)}</td>
                      <td className="right">
                        <CopyPath path={`${run.run_dir}/${artifact.path}`} label={`Copy the path of ${artifact.name}`} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )}
        </div>
      )}
    </>
  );
}
