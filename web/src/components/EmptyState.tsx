// What a page shows when there is nothing yet, and what to do about it.
import { ActionIcon, CopyButton, Group, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy, type Icon } from '@tabler/icons-react';
import type { ReactNode } from 'react';

interface Props {
  icon: Icon;
  title: string;
  children?: ReactNode;
  command?: string;
}

export function EmptyState({ icon: IconShown, title, children, command }: Props) {
  return (
    <div className="empty">
      <IconShown size={40} stroke={1.4} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {command && (
        <Group gap={6} justify="center" wrap="nowrap">
          <code className="command">{command}</code>
          <CopyButton value={command}>
            {({ copied, copy }) => (
              <Tooltip label={copied ? 'Copied' : 'Copy'}>
                <ActionIcon variant="subtle" color="gray" onClick={copy} aria-label="Copy the command">
                  {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
                </ActionIcon>
              </Tooltip>
            )}
          </CopyButton>
        </Group>
      )}
    </div>
  );
}
