// Training and evaluation loss of one or several runs, with smoothing and a log scale.
import { Group, SegmentedControl, Skeleton, Slider, Switch } from '@mantine/core';
import { useMemo, useState, type CSSProperties } from 'react';

import { ErrorState } from '../components/ErrorState';
import { smooth } from '../lib/smoothing';
import { EChart } from './EChart';
import { lineOption, type Line } from './line_option';
import { usePalette } from './palette';
import type { ChartProps } from './types';
import { useSeries, type RunSeries } from './use_series';

type Show = 'both' | 'train' | 'eval';
const KEYS: Record<Show, string[]> = { both: ['train/loss', 'eval/loss'], train: ['train/loss'], eval: ['eval/loss'] };
const HEIGHT = 380;

function linesOf(series: RunSeries[], smoothing: number, many: boolean, evalColor: string): Line[] {
  return series.flatMap(({ runId, label, color, dashed, key, points }): Line[] => {
    const isEval = key === 'eval/loss';
    const id = `${runId}:${key}`;
    const name = many ? `${label} · ${isEval ? 'eval' : 'train'}` : isEval ? 'Evaluation' : 'Training';
    const line: Line = { id, name, color: isEval && !many ? evalColor : color, points, dashed, marked: isEval };
    if (isEval || smoothing === 0) return [line];
    return [
      { ...line, id: `${id}:raw`, ghost: true },
      { ...line, points: smooth(points, smoothing) },
    ];
  });
}

/** The first tenth of the steps spans most of the loss and flattens the rest. */
function withoutStart(lines: Line[]): Line[] {
  const last = Math.max(0, ...lines.map((line) => line.points.at(-1)?.[0] ?? 0));
  return lines.map((line) => ({ ...line, points: line.points.filter(([step]) => step >= last / 10) }));
}

/** Where a run left the numbers, in words: a broken line alone is easily taken for a gap. */
function divergence(series: RunSeries[]): string[] {
  return series.flatMap(({ label, key, points }) => {
    const first = points.find(([, value]) => !Number.isFinite(value));
    return first ? [`${label}: ${key} is ${Number.isNaN(first[1]) ? 'NaN' : 'infinite'} from step ${first[0].toLocaleString('en-US')}`] : [];
  });
}

export function LossCurves({ runs }: ChartProps) {
  const palette = usePalette();
  const [show, setShow] = useState<Show>('both');
  const [smoothing, setSmoothing] = useState(0.6);
  const [log, setLog] = useState(false);
  const [tail, setTail] = useState(false);
  const { series, pending, error } = useSeries(runs, () => KEYS[show]);
  const many = runs.length > 1;
  const evalColor = palette.series[1] as string;
  const lines = useMemo(() => {
    const all = linesOf(series, smoothing, many, evalColor);
    return tail ? withoutStart(all) : all;
  }, [series, smoothing, many, evalColor, tail]);
  const option = useMemo(() => lineOption(lines, { unit: 'nats', log, zoom: true, palette }), [lines, log, palette]);
  const warnings = divergence(series);
  const legend = lines.filter((line) => !line.ghost);

  return (
    <>
      <Group gap="lg" mb="sm" align="center">
        <SegmentedControl
          size="xs"
          value={show}
          onChange={(value) => setShow(value as Show)}
          data={[
            { value: 'both', label: 'Train + eval' },
            { value: 'train', label: 'Train' },
            { value: 'eval', label: 'Eval' },
          ]}
          aria-label="Which losses"
        />
        <Group gap={10} wrap="nowrap">
          <span className="soft" style={{ fontSize: 13 }}>
            Smoothing
          </span>
          <Slider
            w={130}
            size="sm"
            min={0}
            max={0.99}
            step={0.01}
            value={smoothing}
            onChange={setSmoothing}
            label={(value) => value.toFixed(2)}
            thumbLabel="Smoothing of the training loss"
          />
        </Group>
        <Switch size="sm" label="Log scale" checked={log} onChange={(event) => setLog(event.currentTarget.checked)} />
        <Switch size="sm" label="Skip the first tenth" checked={tail} onChange={(event) => setTail(event.currentTarget.checked)} />
      </Group>
      {!many && (
        <div className="legend">
          {legend.map((line) => (
            <span key={line.id}>
              <span className="swatch" style={{ '--swatch': line.color } as CSSProperties} />
              {line.name}
            </span>
          ))}
        </div>
      )}
      {error && series.length === 0 ? (
        <ErrorState error={error} />
      ) : pending && series.length === 0 ? (
        <Skeleton h={HEIGHT} radius="md" />
      ) : lines.every((line) => line.points.length === 0) ? (
        <div className="empty" style={{ paddingBlock: 72 }}>
          <p>No losses yet. They appear with the first logged step.</p>
        </div>
      ) : (
        <EChart option={option} height={HEIGHT} label={`Loss over steps: ${legend.map((line) => line.name).join(', ')}`} />
      )}
      {warnings.map((warning) => (
        <div key={warning} className="delta-bad" style={{ fontSize: 13, marginTop: 6 }}>
          {warning}
        </div>
      ))}
    </>
  );
}
