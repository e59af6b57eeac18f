// Says that the page is not live any more, and that it is trying.
import { Button, Loader } from '@mantine/core';
import { useEffect, useState } from 'react';

import { useConnection } from '../api/connection';

const PATIENCE_MS = 1200; // a daemon that restarts quickly should not make the page jump

export function LostBanner({ retry }: { retry: () => void }) {
  const lost = useConnection() !== 'open';
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!lost) return;
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      setShown(false);
    };
  }, [lost]);
  if (!lost || !shown) return null;
  return (
    <div className="lost-banner" role="status">
      <Loader size={16} />
      <span>Connection to the daemon lost. What you see may be old; reconnecting…</span>
      <Button size="compact-sm" variant="default" onClick={retry}>
        Retry now
      </Button>
    </div>
  );
}
