// The mark: a router's grid with one expert lit.
const LIT = new Set([1, 3, 7]);

export function Logo() {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#3b3fb6" />
      {Array.from({ length: 9 }, (_, i) => (
        <rect
          key={i}
          x={7 + 6.5 * (i % 3)}
          y={7 + 6.5 * Math.floor(i / 3)}
          width="5"
          height="5"
          rx="1.5"
          fill={i === 5 ? '#ffb454' : '#fff'}
          opacity={i === 5 || LIT.has(i) ? 1 : 0.45}
        />
      ))}
    </svg>
  );
}
