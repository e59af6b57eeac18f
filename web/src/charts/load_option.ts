// Owns how expert loads are coloured and drawn as a heat map. Pure: cells in, ECharts option out.
import { fixed, percent } from '../lib/format';
import { RATIO_LIMIT, ratioPosition } from '../lib/load';
import type { Option } from './EChart';
import { tooltipStyle } from './line_option';
import type { Palette } from './palette';

export interface HeatCell {
  x: number;
  y: number;
  ratio: number;
  load: number;
  /** First lines of the tooltip. */
  title: string;
}

interface Style {
  columns: string[];
  rows: string[];
  xName: string;
  palette: Palette;
  /** Print the load into the cells. */
  values: boolean;
  experts: number;
}

function describe(cell: HeatCell, experts: number): string {
  const fair = 1 / experts;
  const verdict = cell.ratio === 0 ? 'dead: no token' : `${fixed(cell.ratio, 2)}× the fair share (${percent(fair, 2)})`;
  return `<div style="opacity:.75">${cell.title}</div><div><b>${percent(cell.load, 2)}</b> of the assignments</div><div>${verdict}</div>`;
}

export function heatOption(cells: HeatCell[], { columns, rows, xName, palette, values, experts }: Style): Option {
  const axisText = { color: palette.faint, fontSize: 11, fontFamily: 'Inter Variable, system-ui, sans-serif' };
  const limit = Math.log2(RATIO_LIMIT);
  const fine = columns.length > 40 || rows.length > 40;
  return {
    animation: false,
    grid: { left: 4, right: 8, top: 6, bottom: 22, containLabel: true },
    tooltip: { ...tooltipStyle(palette), formatter: (item: unknown) => describe((item as { data: { cell: HeatCell } }).data.cell, experts) },
    xAxis: {
      type: 'category',
      data: columns,
      name: xName,
      nameLocation: 'middle',
      nameGap: 24,
      nameTextStyle: axisText,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: axisText,
    },
    yAxis: {
      type: 'category',
      data: rows,
      inverse: true,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: axisText,
    },
    visualMap: { type: 'continuous', show: false, dimension: 2, min: -limit, max: limit, inRange: { color: palette.diverging } },
    series: [
      {
        id: 'load',
        type: 'heatmap',
        data: cells.map((cell) => ({
          value: [cell.x, cell.y, ratioPosition(cell.ratio)],
          cell,
          label: { show: values || (cell.ratio === 0 && !fine) },
        })),
        label: {
          fontSize: 11,
          fontFamily: 'Inter Variable, system-ui, sans-serif',
          color: 'inherit',
          formatter: (item: { data: { cell: HeatCell } }) => (item.data.cell.ratio === 0 ? '×' : (item.data.cell.load * 100).toFixed(1)),
        },
        itemStyle: { borderColor: palette.card, borderWidth: fine ? 0 : 1, borderRadius: fine ? 0 : 2 },
        emphasis: { itemStyle: { borderColor: palette.text, borderWidth: 2 } },
        progressive: 0,
      },
    ],
  };
}
