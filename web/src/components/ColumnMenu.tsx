// Chooses which columns a table shows.
import { Button, Checkbox, Popover, Stack } from '@mantine/core';
import { IconColumns3 } from '@tabler/icons-react';

interface Props {
  columns: { id: string; title: string; stick?: boolean }[];
  hidden: ReadonlySet<string>;
  setHidden: (hidden: ReadonlySet<string>) => void;
}

export function ColumnMenu({ columns, hidden, setHidden }: Props) {
  const toggle = (id: string, shown: boolean) => {
    const next = new Set(hidden);
    if (shown) next.delete(id);
    else next.add(id);
    setHidden(next);
  };
  return (
    <Popover position="bottom-end" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" leftSection={<IconColumns3 size={16} />}>
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap={8}>
          {columns
            .filter((column) => column.title && !column.stick)
            .map((column) => (
              <Checkbox
                key={column.id}
                size="xs"
                label={column.title}
                checked={!hidden.has(column.id)}
                onChange={(event) => toggle(column.id, event.currentTarget.checked)}
              />
            ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
