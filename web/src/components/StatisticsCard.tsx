// Families of seeds against their baseline: is there a difference, or is it noise?
import { Select, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { statisticsQuery } from '../api/queries';
import type { FamilyStatistics, Run, Statistics } from '../api/types';
import { fixed, plural, signed } from '../lib/format';
import { zeroScale, type Scale } from '../lib/intervals';
import { exclusionWords, hasSomethingToSay, noiseWords, toneOf } from '../lib/statistics';
import { ErrorState } from './ErrorState';
import { IntervalAxis, IntervalChart } from './IntervalChart';

const DEFAULT_METRIC = 'eval/loss';

function DeltaCell({ family, statistics, scale }: { family: FamilyStatistics; statistics: Statistics; scale: Scale }) {
  const { delta } = family;
  if (!delta) return null;
  return <IntervalChart scale={scale} mean={delta.mean} ci={delta.ci} tone={toneOf(family, statistics.direction)} confidence={statistics.confidence} />;
}

function Verdict({ family, tone }: { family: FamilyStatistics; tone: ReturnType<typeof toneOf> }) {
  const p = family.delta?.p ?? null;
  const words = (
    <span className={tone === 'good' ? 'delta-good' : tone === 'bad' ? 'delta-bad' : 'soft'} tabIndex={p === null ? undefined : 0}>
      {family.verdict_text}
      {tone === 'good' ? ', better' : tone === 'bad' ? ', worse' : ''}
    </span>
  );
  return p === null ? words : <Tooltip label={`p = ${p < 0.001 ? 'below 0.001' : fixed(p, 3)}, paired t-test, not corrected for the number of families`}>{words}</Tooltip>;
}

function Row({ family, statistics, scale }: { family: FamilyStatistics; statistics: Statistics; scale: Scale }) {
  const { delta, excluded } = family;
  return (
    <tr className={family.is_baseline ? 'baseline' : undefined} data-family={family.family}>
      <td className="stick" style={{ fontWeight: 600, whiteSpace: 'nowrap' }}>
        {family.family} {family.is_baseline && <span className="tag tag-accent">baseline</span>}
      </td>
      <td className="right">
        {fixed(family.mean, 4)} {family.sd !== null && <span className="faint">± {fixed(family.sd, 4)}</span>}
      </td>
      <td className="right">
        {family.n}
        {excluded.total > 0 && (
          <div className="faint" style={{ fontSize: 12 }}>
            without {exclusionWords(excluded)}
          </div>
        )}
      </td>
      <td className="right">
        {delta ? signed(delta.mean) : <span className="faint">–</span>}
        {delta?.ci && (
          <div className="faint" style={{ fontSize: 12 }}>
            {signed(delta.ci.low)} to {signed(delta.ci.high)}
          </div>
        )}
      </td>
      <td>
        <DeltaCell family={family} statistics={statistics} scale={scale} />
      </td>
      <td style={{ minWidth: 190 }}>
        <Verdict family={family} tone={toneOf(family, statistics.direction)} />
      </td>
    </tr>
  );
}

function Table({ statistics }: { statistics: Statistics }) {
  const scale = useMemo(
    () => zeroScale(statistics.families.flatMap(({ delta }) => (delta ? [delta.ci ?? { low: delta.mean, high: delta.mean }] : []))),
    [statistics],
  );
  const better = { down: 'lower is better', up: 'higher is better', none: '' }[statistics.direction];
  return (
    <div className="table-wrap" role="region" aria-label="Statistics" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col" className="stick">
              Family
            </th>
            <th scope="col" className="right" title="Mean and sample standard deviation over seeds">
              Mean ± sd
            </th>
            <th scope="col" className="right" title="Completed runs with a finite value">
              n
            </th>
            <th scope="col" className="right" title="Mean difference to the baseline run of the same seed">
              Δ baseline
            </th>
            <th scope="col">
              <span className="hidden-visually">Interval of the difference</span>
              <IntervalAxis scale={scale} />
            </th>
            <th scope="col">{Math.round(statistics.confidence * 100)}% interval says{better ? ` (${better})` : ''}</th>
          </tr>
        </thead>
        <tbody>
          {statistics.families.map((family) => (
            <Row key={family.family} family={family} statistics={statistics} scale={scale} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function StatisticsCard({ experiment, runs }: { experiment: number; runs: readonly Run[] }) {
  const [metric, setMetric] = useState(DEFAULT_METRIC);
  // The server knows no statistics of a metric that nobody has reported.
  const metrics = useMemo(() => [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort(), [runs]);
  const { data, error, refetch } = useQuery({ ...statisticsQuery(experiment, metric), enabled: metrics.includes(metric) });
  if (!data ? !error : metric === DEFAULT_METRIC && !hasSomethingToSay(data)) return null;
  const excluded = data ? exclusionWords(data.excluded) : '';
  return (
    <section className="card" style={{ overflow: 'hidden' }} aria-labelledby="statistics-title">
      <div className="card-head" style={{ paddingBottom: 14 }}>
        <h2 className="card-title" id="statistics-title">
          Effect or noise
        </h2>
        <span className="faint" style={{ fontSize: 13 }}>
          families of seeds, paired by seed{data?.baseline ? `, against ${data.baseline}` : ''}
        </span>
        <Select
          aria-label="Metric of the statistics"
          data={metrics}
          value={metric}
          onChange={(value) => value && setMetric(value)}
          allowDeselect={false}
          searchable
          w={230}
          ml="auto"
        />
      </div>
      {error && !data ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : (
        data && (
          <>
            <Table statistics={data} />
            <div className="soft" style={{ padding: '12px 18px 14px', borderTop: '1px solid var(--line)', fontSize: 13.5 }} data-testid="noise">
              {noiseWords(data)}
              {excluded && ` Left out: ${excluded} (${plural(data.excluded.total, 'run')}).`}
              {error && <div className="delta-bad">What you see may be old: {error.message}</div>}
            </div>
          </>
        )
      )}
    </section>
  );
}
