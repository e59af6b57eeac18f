// The load of every expert of one layer, over the steps: experts up, steps across, the scale of the heat map.
import { Group, Select, Skeleton } from '@mantine/core';
import { useMemo, useState } from 'react';

import { layerLoad } from '../lib/load';
import { EChart } from './EChart';
import { heatOption, type HeatCell } from './load_option';
import { usePalette } from './palette';
import type { ChartProps } from './types';
import { useRunLoad } from './use_run_load';

export function LoadOverTime({ runs }: ChartProps) {
  const palette = usePalette();
  const { data, isLoading } = useRunLoad(runs);
  const [chosen, setChosen] = useState<string | null>(null);
  const layers = useMemo(() => data?.layers.map(String) ?? [], [data]);
  const layer = chosen ?? layers[0] ?? '';
  const option = useMemo(() => {
    if (!data) return null;
    const layerIndex = layers.indexOf(layer);
    const { experts } = data;
    const cells = data.frames.flatMap((frame, x) =>
      layerLoad(data, x, layerIndex).map(
        (load, y): HeatCell => ({ x, y, load, ratio: load * experts, title: `step ${frame.step.toLocaleString('en-US')}, layer ${layer}, expert ${y}` }),
      ),
    );
    return heatOption(cells, {
      columns: data.frames.map((frame) => frame.step.toLocaleString('en-US')),
      rows: Array.from({ length: experts }, (_, e) => `E${e}`),
      xName: 'step',
      palette,
      values: false,
      experts,
    });
  }, [data, layer, layers, palette]);

  if (isLoading) return <Skeleton h={220} radius="md" />;
  if (!data || !option || data.frames.length === 0 || data.experts < 2) return <p className="soft">No expert load to show.</p>;
  return (
    <>
      <Group gap={10} mb={8}>
        <Select
          size="xs"
          w={120}
          aria-label="Layer"
          data={layers.map((value) => ({ value, label: `Layer ${value}` }))}
          value={layer}
          onChange={setChosen}
          allowDeselect={false}
        />
        <span className="faint" style={{ fontSize: 13 }}>
          {data.slots > 1 ? `mean of the ${data.slots} k-slots; ` : ''}colours as above
        </span>
      </Group>
      <EChart
        option={option}
        height={Math.max(150, Math.min(420, data.experts * 22)) + 48}
        label={`Load of the ${data.experts} experts of layer ${layer} over ${data.frames.length} logged steps`}
      />
    </>
  );
}
