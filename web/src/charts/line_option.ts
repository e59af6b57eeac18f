// Owns how lines over steps are drawn: axes, tooltip, zoom. Pure: lines in, ECharts option out.
import { significant } from '../lib/format';
import type { Point } from '../lib/smoothing';
import type { Option } from './EChart';
import type { Palette } from './palette';

export interface Line {
  id: string;
  name: string;
  color: string;
  points: Point[];
  dashed?: boolean;
  /** Drawn faintly behind and left out of the tooltip: the unsmoothed values. */
  ghost?: boolean;
  /** Few points that should be seen as such: evaluations. */
  marked?: boolean;
}

interface Style {
  unit: string;
  log?: boolean;
  zoom?: boolean;
  palette: Palette;
}

interface TooltipItem {
  seriesId: string;
  seriesName: string;
  color: string;
  value: [number, number];
}

const MAX_TOOLTIP_LINES = 14;

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function tooltipText(items: TooltipItem[], unit: string, hidden: ReadonlySet<string>): string {
  const shown = items.filter((item) => !hidden.has(item.seriesId) && item.value[1] !== null);
  const first = shown[0];
  if (!first) return '';
  const rows = shown
    .slice(0, MAX_TOOLTIP_LINES)
    .map(
      (item) =>
        `<div style="display:flex;gap:14px;align-items:center"><span style="width:12px;border-top:3px solid ${item.color}"></span>` +
        `<span style="flex:1">${escapeHtml(item.seriesName)}</span>` +
        `<b style="font-variant-numeric:tabular-nums">${significant(item.value[1], 5)}</b></div>`,
    );
  const more = shown.length > MAX_TOOLTIP_LINES ? `<div>and ${shown.length - MAX_TOOLTIP_LINES} more</div>` : '';
  return `<div style="opacity:.75;margin-bottom:3px">step ${first.value[0].toLocaleString('en-US')}${unit ? ` · ${escapeHtml(unit)}` : ''}</div>${rows.join('')}${more}`;
}

export function tooltipStyle(palette: Palette) {
  return {
    confine: true,
    backgroundColor: palette.tooltip,
    borderColor: palette.line,
    padding: [8, 12] as [number, number],
    textStyle: { color: palette.text, fontSize: 12.5, fontFamily: 'Inter Variable, system-ui, sans-serif' },
    extraCssText: 'border-radius:10px;box-shadow:0 6px 24px rgb(0 0 0/.16);max-width:420px',
  };
}

export function lineOption(lines: Line[], { unit, log = false, zoom = false, palette }: Style): Option {
  const hidden = new Set(lines.filter((line) => line.ghost).map((line) => line.id));
  const axisText = { color: palette.faint, fontSize: 11.5, fontFamily: 'Inter Variable, system-ui, sans-serif' };
  return {
    animation: false,
    grid: { left: 8, right: 16, top: 14, bottom: zoom ? 46 : 8, containLabel: true },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: 'axis',
      axisPointer: { lineStyle: { color: palette.line } },
      formatter: (items: unknown) => tooltipText(items as TooltipItem[], unit, hidden),
    },
    xAxis: {
      type: 'value',
      min: 'dataMin',
      max: 'dataMax',
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: { ...axisText, hideOverlap: true, showMinLabel: false, formatter: (value: number) => significant(value) },
      splitLine: { show: false },
      axisPointer: { snap: true },
    },
    yAxis: {
      type: log ? 'log' : 'value',
      scale: true,
      splitNumber: 4,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...axisText, hideOverlap: true, formatter: (value: number) => significant(value, 3) },
      splitLine: { lineStyle: { color: palette.grid } },
    },
    dataZoom: zoom
      ? [
          {
            type: 'slider',
            xAxisIndex: 0,
            height: 18,
            bottom: 8,
            filterMode: 'filter', // the value axis then fits what is in view
            showDetail: false,
            brushSelect: false,
            borderColor: 'transparent',
            backgroundColor: palette.grid,
            fillerColor: `${palette.line}66`,
            handleStyle: { color: palette.card, borderColor: palette.faint },
            moveHandleSize: 0,
            dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
            selectedDataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } },
          },
        ]
      : [],
    series: lines.map((line) => ({
      id: line.id,
      name: line.name,
      type: 'line',
      data: line.points.map(([step, value]) => [step, Number.isFinite(value) && (!log || value > 0) ? value : null]),
      showSymbol: line.marked === true || line.points.length === 1,
      symbol: 'circle',
      symbolSize: line.marked ? 6 : 5,
      silent: line.ghost === true,
      color: line.color,
      z: line.ghost ? 1 : line.marked ? 4 : 3,
      lineStyle: { width: line.ghost ? 1 : 2, opacity: line.ghost ? 0.36 : 1, type: line.dashed ? 'dashed' : 'solid' },
      emphasis: { disabled: true },
    })),
  };
}
