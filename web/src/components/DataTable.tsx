// A table of rows with sortable headers. TanStack Table does the model; this file the markup, keyboard and aria.
import { IconArrowDown, IconArrowsSort, IconArrowUp } from '@tabler/icons-react';
import {
  columnVisibilityFeature,
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type ColumnVisibilityState,
  type SortingState,
} from '@tanstack/react-table';
import type { Dispatch, ReactNode, SetStateAction } from 'react';

import { compareNumbers } from '../lib/numbers';

export const features = tableFeatures({
  rowSortingFeature,
  columnVisibilityFeature,
  sortedRowModel: createSortedRowModel(),
});

export interface Column<Row> {
  id: string;
  title: string;
  cell: (row: Row) => ReactNode;
  /** Absent = the column cannot be sorted. Missing values sort last in both directions. */
  value?: (row: Row) => number | string | null | undefined;
  right?: boolean;
  stick?: boolean;
  /** Explains the header on hover. */
  doc?: string;
  /** In place of the title. */
  head?: ReactNode;
}

interface Props<Row> {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  rowId: (row: Row) => string;
  sorting: SortingState;
  setSorting: Dispatch<SetStateAction<SortingState>>;
  hidden?: ReadonlySet<string>;
  /** The rows already come in order, from the server. */
  manual?: boolean;
  rowClass?: (row: Row) => string | undefined;
}

function definition<Row extends object>(column: Column<Row>, descending: boolean): ColumnDef<typeof features, Row> {
  const value = column.value;
  return {
    id: column.id,
    enableSorting: value !== undefined,
    accessorFn: (row: Row) => value?.(row) ?? null,
    // TanStack reverses the comparison for a descending sort; missing values must stay last all the same.
    sortFn: (a, b) => {
      const x = value?.(a.original);
      const y = value?.(b.original);
      if (typeof x === 'string' || typeof y === 'string') return String(x ?? '').localeCompare(String(y ?? ''), 'en', { numeric: true });
      const order = compareNumbers(x ?? null, y ?? null, descending);
      return descending ? -order : order;
    },
  };
}

const ARIA = { asc: 'ascending', desc: 'descending' } as const;

export function DataTable<Row extends object>(props: Props<Row>) {
  const { columns, rows, sorting } = props;
  const visibility: ColumnVisibilityState = Object.fromEntries(columns.map((c) => [c.id, !props.hidden?.has(c.id)]));
  const byId = new Map(columns.map((column) => [column.id, column]));
  const table = useTable({
    features,
    columns: columns.map((column) => definition(column, sorting[0]?.id === column.id && sorting[0].desc)),
    data: rows,
    getRowId: props.rowId,
    manualSorting: props.manual ?? false,
    enableSortingRemoval: false,
    sortDescFirst: false,
    state: { sorting, columnVisibility: visibility },
    onSortingChange: props.setSorting,
  });
  return (
    <div className="table-wrap" role="region" aria-label={props.label} tabIndex={0}>
      <table className="table">
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const column = byId.get(header.column.id) as Column<Row>;
                const sorted = header.column.getIsSorted();
                const Arrow = sorted === 'asc' ? IconArrowUp : sorted === 'desc' ? IconArrowDown : IconArrowsSort;
                const className = `${column.right ? 'right' : ''} ${column.stick ? 'stick' : ''}`.trim();
                return (
                  <th key={header.id} scope="col" className={className} title={column.doc} aria-sort={sorted ? ARIA[sorted] : undefined}>
                    {column.value ? (
                      <button type="button" className={sorted ? 'sort on' : 'sort'} onClick={header.column.getToggleSortingHandler()}>
                        {column.title}
                        <Arrow size={13} stroke={2} aria-hidden />
                      </button>
                    ) : (
                      column.head || column.title || <span className="hidden-visually">{column.id}</span>
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id} className={props.rowClass?.(row.original)} data-row={row.id}>
              {row.getVisibleCells().map((cell) => {
                const column = byId.get(cell.column.id) as Column<Row>;
                const className = `${column.right ? 'right' : ''} ${column.stick ? 'stick' : ''}`.trim();
                return (
                  <td key={cell.id} className={className} data-column={column.id}>
                    {column.cell(row.original)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
