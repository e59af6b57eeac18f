// Owns the choice of a few among many frames. Pure.

/** At most `limit` indices of 0..count-1, evenly spread, the first and the last always among them. */
export function thinIndices(count: number, limit: number): number[] {
  if (count <= limit) return Array.from({ length: count }, (_, i) => i);
  if (limit <= 1) return count > 0 ? [count - 1] : [];
  return Array.from({ length: limit }, (_, i) => Math.round((i * (count - 1)) / (limit - 1)));
}

/** Index of the last of the ascending `steps` that is at or before `step`; 0 when all are later, -1 when there is none. */
export function frameAt(steps: readonly number[], step: number): number {
  let low = 0;
  let high = steps.length - 1;
  let found = steps.length ? 0 : -1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) <= step) {
      found = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return found;
}
