// Owns the step slider: a position among steps, and playing through them.
import { useEffect, useState } from 'react';

const FRAME_MS = 110;

export interface Player {
  index: number;
  playing: boolean;
  /** At the end and following new steps as they come. */
  following: boolean;
  seek: (index: number) => void;
  toggle: () => void;
}

export function usePlayer(count: number): Player {
  // null = the newest step, whichever that is.
  const [chosen, setChosen] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  const last = Math.max(0, count - 1);
  const index = Math.min(chosen ?? last, last);

  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => setChosen((now) => Math.min((now ?? last) + 1, last)), FRAME_MS);
    return () => clearInterval(timer);
  }, [playing, last]);

  useEffect(() => {
    if (playing && index >= last) {
      setPlaying(false);
      setChosen(null);
    }
  }, [playing, index, last]);

  return {
    index,
    playing,
    following: chosen === null,
    seek: (next) => {
      setPlaying(false);
      setChosen(next >= last ? null : next);
    },
    toggle: () => {
      if (!playing && index >= last) setChosen(0);
      setPlaying(!playing);
    },
  };
}
