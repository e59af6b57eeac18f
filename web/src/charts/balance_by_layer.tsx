// How evenly each layer loads its experts, over the steps: MaxVio, CV, entropy or dead share, one line a layer.
import { SegmentedControl, Skeleton } from '@mantine/core';
import { useMemo, useState, type CSSProperties } from 'react';

import { toNumber } from '../lib/numbers';
import type { Point } from '../lib/smoothing';
import { EChart } from './EChart';
import { lineOption, type Line } from './line_option';
import { spread, usePalette } from './palette';
import type { ChartProps } from './types';
import { useRunLoad } from './use_run_load';

const MEASURES = {
  maxvio: { label: 'MaxVio', doc: 'largest load over the mean, minus 1; 0 is perfect balance' },
  cv: { label: 'CV', doc: 'standard deviation of the load over its mean; 0 is perfect balance' },
  entropy: { label: 'Entropy', doc: 'entropy of the load over log E; 1 is perfect balance' },
  dead: { label: 'Dead share', doc: 'share of experts without a token' },
};
type Measure = keyof typeof MEASURES;

export function BalanceByLayer({ runs }: ChartProps) {
  const palette = usePalette();
  const { data, isLoading } = useRunLoad(runs);
  const [measure, setMeasure] = useState<Measure>('maxvio');
  const lines = useMemo((): Line[] => {
    if (!data) return [];
    const table = data.derived[measure];
    return data.layers.map((layer, i) => ({
      id: String(layer),
      name: `Layer ${layer}`,
      color: spread(palette, i, data.layers.length),
      points: data.frames.map(({ step }, frame): Point => [step, toNumber(table[frame]?.[i]) ?? NaN]),
    }));
  }, [data, measure, palette]);
  const option = useMemo(() => lineOption(lines, { unit: MEASURES[measure].label, palette }), [lines, measure, palette]);

  if (isLoading) return <Skeleton h={220} radius="md" />;
  if (!data || data.frames.length === 0) return <p className="soft">No expert load to show.</p>;
  return (
    <>
      <SegmentedControl
        size="xs"
        mb={6}
        value={measure}
        onChange={(value) => setMeasure(value as Measure)}
        data={Object.entries(MEASURES).map(([value, { label }]) => ({ value, label }))}
        aria-label="Measure of balance"
      />
      <div className="faint" style={{ fontSize: 13, marginBottom: 6 }}>
        {MEASURES[measure].doc}
      </div>
      <EChart option={option} height={240} label={`${MEASURES[measure].label} by layer over steps`} />
      <div className="legend" style={{ marginTop: 6 }}>
        {lines.map((line) => (
          <span key={line.id}>
            <span className="swatch" style={{ '--swatch': line.color } as CSSProperties} />
            {line.name}
          </span>
        ))}
      </div>
    </>
  );
}
