// One delta with its confidence interval, against zero. Charts of one table share a scale, whose axis stands in the header.
import { signed, significant } from '../lib/format';
import type { Scale, Span } from '../lib/intervals';
import type { Tone } from '../lib/statistics';

const WIDTH = 240;
const HEIGHT = 26;
const COLORS: Record<Tone, string> = { good: 'var(--good)', bad: 'var(--bad)', none: 'var(--text-soft)' };

const x = (scale: Scale, value: number) => (scale.at(value) * WIDTH).toFixed(1);

interface Props {
  scale: Scale;
  mean: number;
  ci: Span | null;
  tone: Tone;
  confidence: number;
}

export function IntervalChart({ scale, mean, ci, tone, confidence }: Props) {
  const middle = HEIGHT / 2;
  const color = COLORS[tone];
  const words = ci ? `${Math.round(confidence * 100)}% interval ${signed(ci.low)} to ${signed(ci.high)}` : 'no interval';
  return (
    <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${signed(mean)}, ${words}`} style={{ display: 'block' }}>
      <line x1={x(scale, 0)} x2={x(scale, 0)} y1={0} y2={HEIGHT} stroke="var(--text-faint)" strokeDasharray="2 2" />
      {ci && (
        <g stroke={color} strokeWidth={2}>
          <line x1={x(scale, ci.low)} x2={x(scale, ci.high)} y1={middle} y2={middle} />
          <line x1={x(scale, ci.low)} x2={x(scale, ci.low)} y1={middle - 5} y2={middle + 5} />
          <line x1={x(scale, ci.high)} x2={x(scale, ci.high)} y1={middle - 5} y2={middle + 5} />
        </g>
      )}
      <circle cx={x(scale, mean)} cy={middle} r={4} fill={ci ? color : 'var(--card)'} stroke={color} strokeWidth={2} />
    </svg>
  );
}

export function IntervalAxis({ scale }: { scale: Scale }) {
  return (
    <svg width={WIDTH} height={15} viewBox={`0 0 ${WIDTH} 15`} aria-hidden style={{ display: 'block', overflow: 'visible' }}>
      {scale.ticks.map((tick) => (
        <text key={tick} x={x(scale, tick)} y={11} textAnchor="middle" fontSize={11} fill="var(--text-faint)">
          {significant(tick, 2)}
        </text>
      ))}
    </svg>
  );
}
