// Expert load as heat maps, (layer, k-slot) rows by experts: side by side for several runs, on one step slider and one scale.
import { ActionIcon, Button, Group, Skeleton, Slider, Tooltip } from '@mantine/core';
import { IconDownload, IconPhoto, IconPlayerPauseFilled, IconPlayerPlayFilled } from '@tabler/icons-react';
import { useQueries } from '@tanstack/react-query';
import { useMemo, useState, type CSSProperties } from 'react';

import { address } from '../api/client';
import { loadQuery } from '../api/queries';
import { withToken } from '../api/token';
import type { ExpertLoad } from '../api/types';
import { fixed, plural } from '../lib/format';
import { frameCells, hasExperts, rowLabel } from '../lib/load';
import { frameAt } from '../lib/thinning';
import { EChart } from './EChart';
import { heatOption, type HeatCell } from './load_option';
import { LoadScale } from './LoadScale';
import { usePalette } from './palette';
import type { ChartProps, ChartRun } from './types';
import { usePlayer } from './use_player';

function rowHeight(rows: number): number {
  return Math.max(7, Math.min(30, Math.floor(420 / rows)));
}

function summary(name: string, step: number, cells: HeatCell[], experts: number): string {
  let top = cells[0];
  let dead = 0;
  for (const cell of cells) {
    if (top && cell.ratio > top.ratio) top = cell;
    if (cell.ratio === 0) dead++;
  }
  const peak = top ? `; heaviest is ${top.title} with ${fixed(top.ratio, 2)} times the fair share` : '';
  return `Expert load of ${name} at step ${step}, ${experts} experts${peak}; ${plural(dead, 'dead cell')}`;
}

interface PanelProps {
  owner: ChartRun;
  data: ExpertLoad;
  step: number;
  alone: boolean;
}

function Panel({ owner, data, step, alone }: PanelProps) {
  const palette = usePalette();
  const [width, setWidth] = useState(0);
  const frame = frameAt(
    data.frames.map((f) => f.step),
    step,
  );
  const shownStep = data.frames[frame]?.step ?? 0;
  const { slots, experts, layers } = data;
  const rows = layers.length * slots;
  const height = rows * rowHeight(rows) + 48;
  const values = alone && rowHeight(rows) >= 18 && width / experts >= 42;
  const cells = useMemo(
    () =>
      frameCells(data, frame).map(
        (cell, index): HeatCell => ({
          x: cell.expert,
          y: Math.floor(index / experts),
          ratio: cell.ratio,
          load: cell.load,
          title: `layer ${cell.layer}${slots > 1 ? `, slot ${cell.slot}` : ''}, expert ${cell.expert}`,
        }),
      ),
    [data, frame, experts, slots],
  );
  const option = useMemo(
    () =>
      heatOption(cells, {
        columns: Array.from({ length: experts }, (_, e) => String(e)),
        rows: layers.flatMap((layer) => Array.from({ length: slots }, (_, k) => rowLabel(layer, k, slots))),
        xName: 'expert',
        palette,
        values,
        experts,
      }),
    [cells, experts, layers, slots, palette, values],
  );
  const mean = (table: (number | string)[] | undefined) =>
    table && table.length ? table.reduce<number>((sum, value) => sum + Number(value), 0) / table.length : null;
  return (
    <section data-testid="heat-map">
      <Group justify="space-between" gap={8} mb={4} wrap="nowrap">
        <h3 className="chart-title truncate" style={{ margin: 0 }}>
          {!alone && <span className={owner.dashed ? 'swatch dashed' : 'swatch'} style={{ '--swatch': owner.color, alignSelf: 'center' } as CSSProperties} />}
          <span className="truncate">{alone ? `Step ${shownStep.toLocaleString('en-US')}` : owner.label}</span>
          <span className="faint num">
            MaxVio {fixed(mean(data.derived.maxvio[frame]), 2)} · CV {fixed(mean(data.derived.cv[frame]), 2)}
            {values && ' · cells in % of the assignments'}
          </span>
        </h3>
        <Group gap={4} wrap="nowrap">
          <Tooltip label="This step as PNG">
            <ActionIcon
              variant="subtle"
              color="gray"
              component="a"
              href={withToken(address(`/runs/${owner.run.id}/expert-load`, { format: 'png', step: shownStep }))}
              download={`${owner.run.name}_step_${shownStep}.png`}
              aria-label={`Download step ${shownStep} of ${owner.label} as PNG`}
            >
              <IconPhoto size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="All steps as GIF">
            <ActionIcon
              variant="subtle"
              color="gray"
              component="a"
              href={withToken(address(`/runs/${owner.run.id}/expert-load`, { format: 'gif' }))}
              download={`${owner.run.name}_expert_load.gif`}
              aria-label={`Download all steps of ${owner.label} as GIF`}
            >
              <IconDownload size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      <EChart option={option} height={height} label={summary(owner.label, shownStep, cells, experts)} onWidth={setWidth} />
    </section>
  );
}

export function ExpertLoadMap({ runs }: ChartProps) {
  const results = useQueries({ queries: runs.map((owner) => ({ ...loadQuery(owner.run.id), enabled: hasExperts(owner.run) })) });
  const loaded = runs.flatMap((owner, i) => {
    const data = results[i]?.data;
    return data && data.frames.length > 0 && data.experts > 1 ? [{ owner, data }] : [];
  });
  const steps = [...new Set(loaded.flatMap(({ data }) => data.frames.map((frame) => frame.step)))].sort((a, b) => a - b);
  const player = usePlayer(steps.length);
  const step = steps[player.index] ?? 0;
  const pending = results.some((result) => result.isLoading);
  const failed = results.find((result) => result.error);
  const missing = runs.filter((owner) => !loaded.some((panel) => panel.owner === owner));

  if (loaded.length === 0) {
    if (pending) return <Skeleton h={260} radius="md" />;
    if (failed?.error) return <p className="soft">{failed.error.message}</p>;
    return <p className="soft">No expert load: the run is dense, or has not logged its first step yet.</p>;
  }
  return (
    <>
      <div className="player" style={{ marginBottom: 16 }}>
        <Button
          variant="light"
          leftSection={player.playing ? <IconPlayerPauseFilled size={15} /> : <IconPlayerPlayFilled size={15} />}
          onClick={player.toggle}
          disabled={steps.length < 2}
          w={104}
        >
          {player.playing ? 'Pause' : 'Play'}
        </Button>
        <div style={{ flex: '1 1 240px', minWidth: 160 }}>
          <Slider
            min={0}
            max={Math.max(1, steps.length - 1)}
            value={player.index}
            onChange={player.seek}
            label={`step ${step.toLocaleString('en-US')}`}
            disabled={steps.length < 2}
            thumbLabel="Step"
          />
        </div>
        <span className="num" style={{ minWidth: 118, fontSize: 14 }} aria-live="off">
          <span className="faint">step</span> <b data-testid="load-step">{step.toLocaleString('en-US')}</b>
          {player.following && <span className="faint"> newest</span>}
        </span>
        <LoadScale />
      </div>
      <div
        style={{
          display: 'grid',
          gap: 20,
          gridTemplateColumns: loaded.length === 1 ? '1fr' : `repeat(auto-fill, minmax(min(${loaded.length === 2 ? 460 : 360}px, 100%), 1fr))`,
        }}
      >
        {loaded.map(({ owner, data }) => (
          <Panel key={owner.run.id} owner={owner} data={data} step={step} alone={runs.length === 1} />
        ))}
      </div>
      {missing.length > 0 && !pending && (
        <p className="faint" style={{ fontSize: 13, margin: '12px 0 0' }}>
          Without expert load: {missing.map((owner) => owner.label).join(', ')}
        </p>
      )}
    </>
  );
}
