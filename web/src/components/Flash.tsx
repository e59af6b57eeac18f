// A value that glows briefly when it changes while one looks at it.
import { useEffect, useRef, type ReactNode } from 'react';

export function Flash({ value, children }: { value: unknown; children: ReactNode }) {
  const before = useRef(value);
  const span = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (Object.is(before.current, value)) return;
    before.current = value;
    const node = span.current;
    if (!node) return;
    node.classList.remove('flash-on');
    void node.offsetWidth; // reading a size restarts the animation
    node.classList.add('flash-on');
  }, [value]);
  return (
    <span ref={span} className="flash">
      {children}
    </span>
  );
}
