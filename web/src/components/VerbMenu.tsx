// The verbs that one rarely needs, in a menu.
import { ActionIcon, Menu } from '@mantine/core';
import { IconDots, IconTrash } from '@tabler/icons-react';
import type { ReactNode } from 'react';

import { VERBS, type PageVerb } from '../lib/verbs';

interface Props {
  label: string;
  verbs: readonly { verb: PageVerb; count?: number }[];
  act: (verb: PageVerb) => void;
  loading?: boolean;
  /** Further entries, above the verbs. */
  children?: ReactNode;
  /** Deletes for good, the last entry; absent = not to be had. */
  remove?: () => void;
}

export function VerbMenu({ label, verbs, act, loading = false, children, remove }: Props) {
  if (verbs.length === 0 && !children && !remove) return null;
  return (
    <Menu position="bottom-end" shadow="md" withinPortal>
      <Menu.Target>
        <ActionIcon variant="default" size={36} aria-label={label} loading={loading}>
          <IconDots size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {children}
        {verbs.map(({ verb, count }) => {
          const look = VERBS[verb];
          return (
            <Menu.Item key={verb} leftSection={<look.icon size={16} />} onClick={() => act(verb)} style={look.ends ? { color: 'var(--bad)' } : undefined}>
              {look.label}
              {count === undefined ? '' : ` (${count.toLocaleString('en-US')})`}
            </Menu.Item>
          );
        })}
        {remove && (
          <Menu.Item leftSection={<IconTrash size={16} />} onClick={remove} style={{ color: 'var(--bad)' }}>
            Delete
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
