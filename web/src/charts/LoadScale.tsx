// The legend of every expert-load picture: one diverging scale around the fair share.
import { RATIO_LIMIT } from '../lib/load';
import { usePalette } from './palette';

export function LoadScale() {
  const { diverging } = usePalette();
  return (
    <div className="scale" role="img" aria-label={`Colour scale: blue below, orange above the fair share of 1 over E, from ${1 / RATIO_LIMIT} to ${RATIO_LIMIT} times`}>
      <div className="scale-bar" style={{ background: `linear-gradient(90deg, ${diverging.join(', ')})` }} />
      <div className="scale-ticks" aria-hidden>
        <span>≤¼×</span>
        <span>½×</span>
        <span>fair share 1/E</span>
        <span>2×</span>
        <span>≥4×</span>
      </div>
    </div>
  );
}
