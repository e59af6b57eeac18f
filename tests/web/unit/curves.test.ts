import { describe, expect, it } from 'vitest';

import { chunkNames, joinLoad, pickBaseline } from '../../../web/src/api/queries';
import type { ExpertLoad, Run } from '../../../web/src/api/types';
import { compareNumbers, toNumber } from '../../../web/src/lib/numbers';
import { smooth, type Point } from '../../../web/src/lib/smoothing';
import { frameAt, thinIndices } from '../../../web/src/lib/thinning';

describe('smooth', () => {
  it('leaves a constant alone from its first point: the start-up bias is removed', () => {
    const points: Point[] = [1, 2, 3, 4].map((step) => [step, 7]);
    for (const [, value] of smooth(points, 0.9)) expect(value).toBeCloseTo(7, 12);
  });
  it('is the hand-worked average', () => {
    // weight 1/2: averages 1, (1/2*1/2 + 1/2*3)/(3/4) = 7/3
    expect(smooth([[0, 1], [1, 3]], 0.5).map(([, value]) => value)).toEqual([1, expect.closeTo(7 / 3, 12)]);
  });
  it('passes NaN through and forgets it', () => {
    const [first, second, third] = smooth([[0, 2], [1, NaN], [2, 2]], 0.5);
    expect(first?.[1]).toBe(2);
    expect(second?.[1]).toBeNaN();
    expect(third?.[1]).toBeCloseTo(2, 12);
  });
});

describe('frames', () => {
  it('keeps the first and the last', () => {
    expect(thinIndices(11, 3)).toEqual([0, 5, 10]);
    expect(thinIndices(3, 10)).toEqual([0, 1, 2]);
    expect(thinIndices(0, 10)).toEqual([]);
    expect(thinIndices(9, 1)).toEqual([8]);
  });
  it('finds the last one at or before a step', () => {
    const steps = [10, 20, 30];
    expect([5, 10, 19, 30, 99].map((step) => frameAt(steps, step))).toEqual([0, 0, 0, 2, 2]);
    expect(frameAt([], 1)).toBe(-1);
  });
});

describe('joinLoad', () => {
  const load = (...steps: number[]): ExpertLoad => ({
    layers: [0],
    slots: 1,
    experts: 2,
    frames: steps.map((step) => ({ step, load: [0.5, 0.5] })),
    total_frames: steps.length,
    derived: { cv: steps.map((s) => [s]), maxvio: steps.map((s) => [s]), entropy: steps.map((s) => [s]), dead: steps.map((s) => [s]) },
  });
  const steps = (data: ExpertLoad) => data.frames.map((frame) => frame.step);

  it('appends what is newer, once', () => {
    const joined = joinLoad(load(10, 20), load(20, 30));
    expect(steps(joined)).toEqual([10, 20, 30]);
    expect(joined.derived.cv).toEqual([[10], [20], [30]]);
    expect(joinLoad(load(10, 20), load(10))).toEqual(load(10, 20));
    expect(joinLoad(load(10, 20), load())).toEqual(load(10, 20));
  });
  it('stays within its limit, and derived values stay with their frames', () => {
    const joined = joinLoad(load(10, 20, 30), load(40, 50), 3);
    expect(steps(joined)).toEqual([10, 30, 50]);
    expect(joined.derived.maxvio).toEqual([[10], [30], [50]]);
  });
});

describe('chunkNames', () => {
  it('keeps every name, in order, and every request within its limit', () => {
    const names = Array.from({ length: 300 }, (_, i) => `train/moe/load/e${String(i).padStart(3, '0')}`);
    const chunks = chunkNames(names, 100);
    expect(chunks.every((chunk) => chunk.length <= 100)).toBe(true);
    expect(chunks.join(',').split(',')).toEqual(names);
    expect(chunkNames([])).toEqual([]);
  });
});

describe('pickBaseline', () => {
  const run = (id: number, name: string, seed: number, experiment_id: number, matrix = 'm') =>
    ({ id, name, seed, experiment_id, matrix, baseline: 'a0', aliases: [{ experiment_id, experiment: 'e', name }] }) as unknown as Run;
  it('takes the same experiment before another, the same seed before another', () => {
    const own = run(9, 'a1,seed=1', 1, 2);
    const candidates = [own, run(1, 'a0,seed=0', 0, 2), run(2, 'a0,seed=1', 1, 2), run(3, 'a0', 1, 3), run(4, 'a00', 1, 2), run(5, 'a0', 1, 2, 'other')];
    expect(pickBaseline(own, candidates)?.id).toBe(2);
    expect(pickBaseline(own, [candidates[3] as Run])?.id).toBe(3);
    expect(pickBaseline(own, candidates.slice(4))).toBeNull();
  });
});

describe('numbers from the wire', () => {
  it('reads the three spellings of the contract', () => {
    expect(toNumber('NaN')).toBeNaN();
    expect(toNumber('Infinity')).toBe(Infinity);
    expect(toNumber('-Infinity')).toBe(-Infinity);
    expect(toNumber(undefined)).toBeNull();
    expect(toNumber(0)).toBe(0);
  });
  it('sorts what is missing or diverged last, up and down', () => {
    const values = [NaN, 2, null, 1, Infinity];
    expect([...values].sort((a, b) => compareNumbers(a, b, false)).slice(0, 2)).toEqual([1, 2]);
    expect([...values].sort((a, b) => compareNumbers(a, b, true)).slice(0, 2)).toEqual([2, 1]);
  });
});
