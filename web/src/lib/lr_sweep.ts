// Owns what a learning-rate sweep shows: which points are drawn where. Pure; the suggestion is the server's.
import type { LrSweep } from '../api/types';
import { plural } from './format';
import { toNumber } from './numbers';

type Variant = LrSweep['variants'][number];
export type Rate = Variant['rates'][number];

export interface SweepPoint {
  rate: number;
  loss: number;
  best: boolean;
}

export interface SweepLine {
  name: string;
  points: SweepPoint[];
  /** Rates at which the loss left the numbers: no height of their own, so they are drawn at the top. */
  diverged: number[];
}

export function lossOf(rate: Rate): number | null {
  return toNumber(rate.last_loss as Parameters<typeof toNumber>[0]);
}

export function sweepLines(sweep: LrSweep): SweepLine[] {
  return sweep.variants.map(({ name, rates, best }) => {
    const ordered = [...rates].sort((a, b) => a.rate - b.rate);
    return {
      name,
      points: ordered.flatMap((rate): SweepPoint[] => {
        const loss = lossOf(rate);
        return loss !== null && Number.isFinite(loss) && !rate.diverged ? [{ rate: rate.rate, loss, best: rate.rate === best }] : [];
      }),
      diverged: ordered.filter((rate) => rate.diverged).map((rate) => rate.rate),
    };
  });
}

/** The highest loss drawn, or 1 when there is none: where the diverged stand. */
export function ceiling(lines: readonly SweepLine[]): number {
  const losses = lines.flatMap((line) => line.points.map((point) => point.loss));
  return losses.length ? Math.max(...losses) : 1;
}

/** What is said of a variant beside its suggested rate. */
export function remarks({ complete, refusal, warnings, rates }: Variant): string[] {
  const left = rates.filter((rate) => rate.note !== '' && !rate.diverged).length;
  return [...(refusal ? [refusal] : complete || left === 0 ? [] : [`${left} of ${plural(rates.length, 'rate')} ${left === 1 ? 'has' : 'have'} not ended`]), ...warnings];
}

export const SWEEP_SUFFIX = '.lr_sweep';

/** An experiment has a sweep when it is one or when one was made of it; the others are not asked, since they would be refused. */
export function hasSweep(name: string, names: readonly string[]): boolean {
  return name.endsWith(SWEEP_SUFFIX) || names.includes(name + SWEEP_SUFFIX);
}
