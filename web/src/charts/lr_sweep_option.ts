// Owns how a learning-rate sweep is drawn: loss against rate on a logarithmic axis, one line a variant, crosses for what diverged, a
// larger mark for the suggestion. Pure: lines in, ECharts option out.
import { significant } from '../lib/format';
import { ceiling, type SweepLine } from '../lib/lr_sweep';
import type { Option } from './EChart';
import { tooltipStyle } from './line_option';
import { seriesLook, type Palette } from './palette';

const CROSS = 'path://M0,2 L2,0 L5,3 L8,0 L10,2 L7,5 L10,8 L8,10 L5,7 L2,10 L0,8 L3,5 Z';

export function lrSweepOption(lines: readonly SweepLine[], palette: Palette): Option {
  const axisText = { color: palette.faint, fontSize: 11.5, fontFamily: 'Inter Variable, system-ui, sans-serif' };
  const title = { ...axisText, fontSize: 12 };
  const top = ceiling(lines);
  const rates = lines.flatMap((line) => [...line.points.map((point) => point.rate), ...line.diverged]);
  return {
    animation: false,
    grid: { left: 18, right: 22, top: 30, bottom: 30, containLabel: true },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: 'item',
      formatter: (item: unknown) => {
        const { seriesName, data } = item as { seriesName: string; data: { value: [number, number]; diverged?: boolean } };
        const name = document.createElement('span');
        name.textContent = seriesName;
        return `${name.innerHTML}<br>rate ${significant(data.value[0])}: <b>${data.diverged ? 'diverged' : significant(data.value[1], 5)}</b>`;
      },
    },
    xAxis: {
      type: 'log',
      ...(rates.length ? { min: Math.min(...rates) / 1.4, max: Math.max(...rates) * 1.4 } : {}),
      name: 'learning rate',
      nameLocation: 'middle',
      nameGap: 28,
      nameTextStyle: title,
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: { ...axisText, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (value: number) => significant(value, 2) },
      splitLine: { show: true, lineStyle: { color: palette.grid } },
    },
    yAxis: {
      type: 'value',
      scale: true,
      splitNumber: 4,
      name: 'training loss at the last step, nats',
      nameTextStyle: { ...title, align: 'left' },
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...axisText, formatter: (value: number) => significant(value, 3) },
      splitLine: { lineStyle: { color: palette.grid } },
    },
    series: lines.map((line, i) => {
      const { color, dashed } = seriesLook(i, palette);
      return {
        id: line.name,
        name: line.name,
        type: 'line',
        color,
        lineStyle: { width: 2, type: dashed ? 'dashed' : 'solid' },
        emphasis: { disabled: true },
        // A gap in the line, then the crosses: they are no losses.
        data: [
          ...line.points.map(({ rate, loss, best }) => ({
            value: [rate, loss],
            symbol: best ? 'diamond' : 'circle',
            symbolSize: best ? 17 : 6,
            ...(best ? { itemStyle: { borderColor: palette.card, borderWidth: 2 } } : {}),
          })),
          { value: [null, null] },
          ...line.diverged.flatMap((rate) => [{ value: [rate, top], symbol: CROSS, symbolSize: 12, diverged: true }, { value: [null, null] }]),
        ],
      };
    }),
  };
}
