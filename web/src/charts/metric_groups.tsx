// Every other metric that the runs have, as small charts in the groups of the metric catalogue. A metric that is new in the
// catalogue appears here by itself.
import { Accordion, Group, Skeleton, Slider, Tooltip } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { catalogQuery, metricNamesQuery } from '../api/queries';
import type { MetricInfo } from '../api/types';
import { ErrorState } from '../components/ErrorState';
import { entryOf, familyTitle, groupsWith, isFamily, memberOf } from '../lib/catalog';
import { smooth } from '../lib/smoothing';
import { EChart } from './EChart';
import { lineOption, type Line } from './line_option';
import { spread, usePalette } from './palette';
import type { ChartProps, ChartRun } from './types';
import { useSeries } from './use_series';

const HEIGHT = 190;
/** Drawn large elsewhere. */
const ELSEWHERE = new Set(['train/loss', 'eval/loss']);
const OPEN_AT_FIRST = ['balance', 'router', 'speed'];

/** Metric names by run id. */
type Names = ReadonlyMap<number, string[]>;

function useNames(runs: ChartRun[]): Names {
  const listed = useQueries({ queries: runs.map(({ run }) => metricNamesQuery(run)) });
  return new Map(runs.map(({ run }, i) => [run.id, [...new Set([...Object.keys(run.metrics), ...(listed[i]?.data ?? [])])]]));
}

const BETTER = {
  down: { icon: IconArrowDown, text: 'lower is better' },
  up: { icon: IconArrowUp, text: 'higher is better' },
  none: null,
};

interface ChartOf {
  info: MetricInfo;
  catalog: readonly MetricInfo[];
  runs: ChartRun[];
  names: Names;
  smoothing: number;
}

function MetricChart({ info, catalog, runs, names, smoothing }: ChartOf) {
  const palette = usePalette();
  const { series, pending, error } = useSeries(runs, ({ run }) => (names.get(run.id) ?? []).filter((key) => entryOf(catalog, key) === info));
  const family = isFamily(info);
  const many = runs.length > 1;
  const option = useMemo(() => {
    const members = [...new Set(series.map(({ key }) => memberOf(info, key) ?? -1))].sort((a, b) => (a < b ? -1 : 1));
    const lines = series.flatMap(({ runId, label, color, dashed, key, title, points }): Line[] => {
      const rank = members.indexOf(memberOf(info, key) ?? -1);
      const line: Line = {
        id: `${runId}:${key}`,
        name: many ? (family ? `${label} · ${title}` : label) : title,
        color: family && !many ? spread(palette, rank, members.length) : color,
        dashed,
        points,
        marked: key.startsWith('eval/'),
      };
      if (smoothing === 0 || line.marked) return [line];
      return [
        { ...line, id: `${line.id}:raw`, ghost: true },
        { ...line, points: smooth(points, smoothing) },
      ];
    });
    return lineOption(lines, { unit: info.unit, palette });
  }, [series, info, many, family, smoothing, palette]);
  const better = BETTER[info.direction];
  return (
    <section>
      <Tooltip label={`${info.doc}${better ? ` (${better.text})` : ''}`} multiline maw={380}>
        <h3 className="chart-title" tabIndex={0} style={{ width: 'fit-content' }}>
          {family ? familyTitle(info) : info.title}
          <span className="faint">
            {info.unit}
            {better && <better.icon size={12} style={{ marginLeft: 4, verticalAlign: -1 }} aria-label={better.text} />}
          </span>
        </h3>
      </Tooltip>
      {error && series.length === 0 ? (
        <p className="soft">{error.message}</p>
      ) : pending && series.length === 0 ? (
        <Skeleton h={HEIGHT} radius="md" />
      ) : (
        <EChart option={option} height={HEIGHT} label={`${info.title} over steps`} />
      )}
    </section>
  );
}

export function MetricGroups({ runs }: ChartProps) {
  const { data, error, isPending, refetch } = useQuery(catalogQuery);
  const [open, setOpen] = useState<string[]>(OPEN_AT_FIRST);
  const [smoothing, setSmoothing] = useState(0);
  const names = useNames(runs);
  if (error && !data) return <ErrorState error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton h={HEIGHT} radius="md" />;
  const metrics = data.metrics.filter((info) => !ELSEWHERE.has(info.name));
  const groups = groupsWith(metrics, [...new Set([...names.values()].flat())]);
  if (groups.length === 0) return <p className="soft">Nothing yet. Metrics appear with the first logged step.</p>;
  return (
    <>
    <Group gap={10} wrap="nowrap" mb="xs">
      <span className="soft" style={{ fontSize: 13 }}>
        Smoothing
      </span>
      <Slider w={130} size="sm" min={0} max={0.99} step={0.01} value={smoothing} onChange={setSmoothing} label={(value) => value.toFixed(2)} thumbLabel="Smoothing of the metrics" />
    </Group>
    <Accordion multiple value={open} onChange={setOpen} variant="default" chevronPosition="left">
      {groups.map((group) => (
        <Accordion.Item key={group.name} value={group.name}>
          <Accordion.Control>
            <span style={{ fontWeight: 600 }}>{group.name[0]?.toUpperCase() + group.name.slice(1)}</span>{' '}
            <span className="faint num" style={{ fontSize: 13 }}>
              {group.metrics.length}
            </span>
          </Accordion.Control>
          <Accordion.Panel>
            {/* A closed group costs no requests. */}
            {open.includes(group.name) && (
              <div className="grid-charts">
                {group.metrics.map((info) => (
                  <MetricChart key={info.name} info={info} catalog={data.metrics} runs={runs} names={names} smoothing={smoothing} />
                ))}
              </div>
            )}
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
    </>
  );
}
