// Owns the smoothing of curves. Pure.

export type Point = [step: number, value: number];

/**
 * Exponential moving average with the start-up bias removed (the correction of Adam's moments), so that a heavy weight
 * does not drag the first points towards zero. `weight` in [0, 1): 0 returns the points as they are.
 * Non-finite values pass through unsmoothed and do not poison what follows them.
 */
export function smooth(points: readonly Point[], weight: number): Point[] {
  if (weight <= 0) return points.map(([step, value]) => [step, value]);
  let average = 0;
  let share = 0;
  return points.map(([step, value]) => {
    if (!Number.isFinite(value)) return [step, value];
    average = weight * average + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return [step, average / share];
  });
}
