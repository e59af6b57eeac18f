// Owns the geometry of small interval charts that share one axis with a zero. Pure.
export interface Span {
  low: number;
  high: number;
}

export interface Scale extends Span {
  /** 0 at the left end, 1 at the right. */
  at: (value: number) => number;
  ticks: number[];
}

const MARGIN = 0.06;

/** 1, 2 or 5 times a power of ten, so that about `count` steps fill `width`. */
export function niceStep(width: number, count: number): number {
  const rough = width / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const digit = rough / power;
  return power * (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1);
}

/** An axis that holds zero and every span. Without any width it is [-1, 1]. */
export function zeroScale(spans: readonly Span[]): Scale {
  const finite = spans.flatMap(({ low, high }) => [low, high]).filter(Number.isFinite);
  const least = Math.min(0, ...finite);
  const most = Math.max(0, ...finite);
  const width = most - least;
  const low = width > 0 ? least - MARGIN * width : -1;
  const high = width > 0 ? most + MARGIN * width : 1;
  const step = niceStep(high - low, 4);
  const ticks: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high; ++k) ticks.push(k * step + 0); // + 0: no negative zero
  return { low, high, ticks, at: (value) => (value - low) / (high - low) };
}
