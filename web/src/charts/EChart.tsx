// Owns the life of one ECharts instance: creation, size, updates, disposal. Only the parts we draw with are bundled.
import { HeatmapChart, LineChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { init, use as register, type ECharts, type EChartsCoreOption } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';

register([
  LineChart,
  HeatmapChart,
  GridComponent,
  TooltipComponent,
  DataZoomComponent,
  VisualMapComponent,
  MarkLineComponent,
  AriaComponent,
  CanvasRenderer,
]);

export type Option = EChartsCoreOption;

interface Props {
  option: Option;
  height: number;
  /** What a reader who does not see the picture is told. */
  label: string;
  /** Told the drawing width in pixels, so that labels can depend on it. */
  onWidth?: (width: number) => void;
}

export function EChart({ option, height, label, onWidth }: Props) {
  const node = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts | null>(null);
  const tellWidth = useRef(onWidth);
  tellWidth.current = onWidth;

  useEffect(() => {
    const element = node.current;
    if (!element) return;
    const instance = init(element);
    chart.current = instance;
    const observer = new ResizeObserver(() => {
      instance.resize();
      tellWidth.current?.(element.clientWidth);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      instance.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    // Series are replaced as a whole: a run that was unticked must not linger. The zoom, which lives elsewhere, stays.
    chart.current?.setOption(option, { replaceMerge: ['series'], lazyUpdate: true });
  }, [option]);

  return <div ref={node} role="img" aria-label={label} style={{ width: '100%', height }} />;
}
