// A learning-rate sweep: loss against rate for each variant, and the rate to take.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, type CSSProperties } from 'react';
import { Link } from 'react-router';

import { experimentsQuery, lrSweepQuery } from '../api/queries';
import type { Experiment, LrSweep } from '../api/types';
import { EChart } from '../charts/EChart';
import { lrSweepOption } from '../charts/lr_sweep_option';
import { seriesLook, usePalette } from '../charts/palette';
import { fixed, significant } from '../lib/format';
import { hasSweep, lossOf, remarks, sweepLines } from '../lib/lr_sweep';
import { ErrorState } from './ErrorState';

function Suggestions({ sweep }: { sweep: LrSweep }) {
  const palette = usePalette();
  return (
    <div className="table-wrap" role="region" aria-label="Suggested learning rates" tabIndex={0} style={{ borderTop: '1px solid var(--line)' }}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Variant</th>
            <th scope="col" className="right">
              Suggested rate
            </th>
            <th scope="col" className="right">
              Its loss
            </th>
            <th scope="col">Diverged</th>
            <th scope="col">Remarks</th>
          </tr>
        </thead>
        <tbody>
          {sweep.variants.map((variant, i) => {
            const { color, dashed } = seriesLook(i, palette);
            const best = variant.rates.find((rate) => rate.rate === variant.best);
            const diverged = variant.rates.filter((rate) => rate.diverged).sort((a, b) => a.rate - b.rate);
            return (
              <tr key={variant.name} data-variant={variant.name}>
                <td style={{ fontWeight: 600 }}>
                  <span style={{ display: 'inline-flex', alignItems: 'center', gap: 8 }}>
                    <span className={dashed ? 'swatch dashed' : 'swatch'} style={{ '--swatch': color } as CSSProperties} />
                    {variant.name}
                  </span>
                </td>
                <td className="right">
                  {best ? (
                    <Link className="name-link" to={`/runs/${best.run_id}`}>
                      {significant(best.rate)}
                    </Link>
                  ) : (
                    <span className="faint">–</span>
                  )}
                </td>
                <td className="right">{best ? fixed(lossOf(best), 4) : <span className="faint">–</span>}</td>
                <td className="num">{diverged.length ? diverged.map((rate) => significant(rate.rate)).join(', ') : <span className="faint">none</span>}</td>
                <td className="soft" style={{ minWidth: 200 }}>{remarks(variant).join('; ')}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function LrSweepCard({ experiment }: { experiment: Experiment }) {
  const palette = usePalette();
  const listing = useQuery(experimentsQuery());
  const names = listing.data?.experiments.filter((other) => other.matrix === experiment.matrix).map((other) => other.name) ?? [];
  const known = hasSweep(experiment.name, names);
  const { data, error, refetch } = useQuery({ ...lrSweepQuery(experiment.id), enabled: known });
  const lines = useMemo(() => (data ? sweepLines(data) : []), [data]);
  const option = useMemo(() => lrSweepOption(lines, palette), [lines, palette]);
  if (!known) return null;
  return (
    <section className="card" style={{ overflow: 'hidden' }} aria-labelledby="lr-sweep-title">
      <div className="card-head">
        <h2 className="card-title" id="lr-sweep-title">
          Learning-rate sweep
        </h2>
        {data && (
          <span className="faint" style={{ fontSize: 13 }}>
            {data.steps} steps each, {data.warmup} of them warm-up
            {data.experiment_id !== experiment.id && (
              <>
                {' '}
                · <Link to={`/experiments/${data.experiment_id}`}>its runs</Link>
              </>
            )}
          </span>
        )}
      </div>
      {error && !data ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : !data ? (
        <div className="card-body">
          <Skeleton h={300} radius="md" />
        </div>
      ) : (
        <>
          <div className="card-body">
            {lines.every((line) => line.points.length + line.diverged.length === 0) ? (
              <p className="soft">No loss yet. Points appear as the rates are tried.</p>
            ) : (
              <>
                <EChart option={option} height={320} label={`Loss against learning rate: ${lines.map((line) => line.name).join(', ')}`} />
                <div className="faint" style={{ fontSize: 12.5 }}>
                  Diamond: the suggested rate. Cross: diverged; it has no loss and stands at the top.
                </div>
              </>
            )}
          </div>
          <Suggestions sweep={data} />
        </>
      )}
    </section>
  );
}
