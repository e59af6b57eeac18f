import { describe, expect, it } from 'vitest';

import type { FamilyStatistics, LrSweep, Statistics } from '../../../web/src/api/types';
import { niceStep, zeroScale } from '../../../web/src/lib/intervals';
import { ceiling, hasSweep, remarks, sweepLines } from '../../../web/src/lib/lr_sweep';
import { exclusionWords, hasSomethingToSay, noiseWords, toneOf } from '../../../web/src/lib/statistics';

describe('interval charts', () => {
  it('share an axis that holds zero and every interval', () => {
    const scale = zeroScale([{ low: -0.04, high: -0.01 }, { low: -0.002, high: 0.06 }]);
    expect(scale.at(scale.low)).toBe(0);
    expect(scale.at(scale.high)).toBe(1);
    for (const value of [-0.04, 0, 0.06]) {
      expect(scale.at(value)).toBeGreaterThan(0);
      expect(scale.at(value)).toBeLessThan(1);
    }
    expect(scale.ticks).toEqual([0, 0.05]);
    expect(scale.ticks).toContain(0);
  });
  it('stand without any interval, and with one that is not finite', () => {
    expect(zeroScale([])).toMatchObject({ low: -1, high: 1 });
    expect(zeroScale([{ low: NaN, high: Infinity }])).toMatchObject({ low: -1, high: 1 });
  });
  it('keep zero inside when every interval lies on one side', () => {
    const scale = zeroScale([{ low: 5, high: 6 }]);
    expect(scale.at(0)).toBeGreaterThan(0);
  });
  it('have round ticks', () => {
    expect([niceStep(1, 4), niceStep(0.09, 4), niceStep(7, 4)].map((step) => Number(step.toPrecision(6)))).toEqual([0.5, 0.05, 2]);
  });
});

const nothing = { total: 0, not_completed: {}, diverged: 0, without_metric: 0, archived: 0 };
const family = (more: Partial<FamilyStatistics>): FamilyStatistics => ({
  family: 'f', is_baseline: false, baseline: 'b', members: 3, n: 3, mean: 1, sd: 0.1, ci: null, verdict: 'distinguishable', verdict_text: '', excluded: nothing,
  delta: { n: 3, mean: -0.1, sd: 0.01, ci: { low: -0.12, high: -0.08 }, p: 0.01 },
  ...more,
});
const spread = (sd: number | null) => ({ sd, degrees: sd === null ? 0 : 8, groups: sd === null ? 0 : 4, diverged: 0 });
const statistics = (families: FamilyStatistics[], seeds: number | null, repeats: number | null): Statistics => ({
  metric: 'eval/loss', unit: 'nats', direction: 'down', baseline: 'b', confidence: 0.95, families, noise: { seeds: spread(seeds), repeats: spread(repeats) }, excluded: nothing,
});

describe('statistics in words', () => {
  it('colour only what can be told from noise, by the direction of the metric', () => {
    expect(toneOf(family({}), 'down')).toBe('good');
    expect(toneOf(family({}), 'up')).toBe('bad');
    expect(toneOf(family({}), 'none')).toBe('none');
    expect(toneOf(family({ verdict: 'indistinguishable' }), 'down')).toBe('none');
    expect(toneOf(family({ verdict: 'no_pairs', delta: null }), 'down')).toBe('none');
  });
  it('name what was left out', () => {
    expect(exclusionWords(nothing)).toBe('');
    expect(exclusionWords({ total: 4, not_completed: { failed: 1, out_of_memory: 1, queued: 0 }, diverged: 1, without_metric: 1, archived: 2 })).toBe('1 failed, 1 out of memory, 1 diverged, 1 without the metric, 2 archived');
  });
  it('give the noise floor, or say that it is not known', () => {
    expect(noiseWords(statistics([], 0.00312, null))).toBe('Noise floor: the seed alone moves it by a standard deviation of 0.00312 nats (4 families, 8 degrees of freedom).');
    expect(noiseWords(statistics([], 0.00312, 0.0002))).toContain('The same run trained again: 2e−4 nats (4 runs).');
    expect(noiseWords(statistics([], null, null))).toContain('not known');
  });
  it('stay away where each family is one run', () => {
    expect(hasSomethingToSay(statistics([family({ members: 1 })], null, null))).toBe(false);
    expect(hasSomethingToSay(statistics([family({ members: 1 })], null, 0.1))).toBe(true);
    expect(hasSomethingToSay(statistics([family({ members: 2 })], null, null))).toBe(true);
  });
});

describe('a learning-rate sweep', () => {
  const rate = (value: number, loss: number | string | null, diverged = false, note = '') => ({ rate: value, run_id: 1, state: 'completed', step: 150, last_loss: loss, smoothed_loss: loss, last_grad_norm: null, diverged, note });
  const variant = { name: 'a', complete: true, best: 1e-3, refusal: null, warnings: [], rates: [rate(1e-3, 3.1), rate(1e-4, 3.5), rate(1e-2, 'NaN', true, 'diverged'), rate(1e-1, 9, true, 'diverged'), rate(1e-5, null, false, 'queued')] };
  const sweep: LrSweep = { experiment: 'x', experiment_id: 2, steps: 150, warmup: 30, variants: [variant] };
  it('is drawn by ascending rate; what diverged has no loss, even where a number was logged', () => {
    const [line] = sweepLines(sweep);
    expect(line?.points).toEqual([{ rate: 1e-4, loss: 3.5, best: false }, { rate: 1e-3, loss: 3.1, best: true }]);
    expect(line?.diverged).toEqual([1e-2, 1e-1]);
    expect(ceiling(line ? [line] : [])).toBe(3.5);
    expect(ceiling([])).toBe(1);
  });
  it('says what is still to come, why nothing is suggested, and warnings', () => {
    expect(remarks({ ...variant, complete: false, best: null })).toEqual(['1 of 5 rates has not ended']);
    expect(remarks({ ...variant, best: null, refusal: 'every rate diverged', warnings: ['odd'] })).toEqual(['every rate diverged', 'odd']);
    expect(remarks(variant)).toEqual([]);
  });
  it('is asked for only where there is one', () => {
    expect(hasSweep('a', ['a', 'b'])).toBe(false);
    expect(hasSweep('a', ['a', 'a.lr_sweep'])).toBe(true);
    expect(hasSweep('a.lr_sweep', [])).toBe(true);
  });
});
