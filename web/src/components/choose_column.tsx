// The column that ticks rows for an action, with one box for all of them in its header.
import { Checkbox } from '@mantine/core';

import type { Column } from './DataTable';
import type { RunRow } from './run_columns';

export function chooseColumn(rows: readonly RunRow[], chosen: ReadonlySet<number>, setChosen: (chosen: ReadonlySet<number>) => void): Column<RunRow> {
  const ticked = rows.filter(({ run }) => chosen.has(run.id)).length;
  const toggle = (id: number) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return {
    id: 'choose',
    title: '',
    head: (
      <Checkbox
        size="xs"
        aria-label="Choose every run shown"
        checked={ticked > 0 && ticked === rows.length}
        indeterminate={ticked > 0 && ticked < rows.length}
        onChange={() => setChosen(ticked === rows.length ? new Set() : new Set(rows.map(({ run }) => run.id)))}
      />
    ),
    cell: ({ run }) => <Checkbox size="xs" checked={chosen.has(run.id)} onChange={() => toggle(run.id)} aria-label={`Choose ${run.name}`} />,
  };
}
