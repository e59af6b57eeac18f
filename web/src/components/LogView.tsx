// The worker's output: its tail, followed live while the run lives.
import { Button, Group, Skeleton, Switch } from '@mantine/core';
import { IconFileOff, IconRefresh } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';

import { address, get } from '../api/client';
import { withToken } from '../api/token';
import type { Run } from '../api/types';
import { plural } from '../lib/format';
import { isTerminal } from '../lib/states';
import { EmptyState } from './EmptyState';
import { ErrorState } from './ErrorState';

const TAIL = 500;
const KEEP = 5000;

function tone(line: string): string | undefined {
  if (/\b(error|critical|fatal|traceback|exception)\b/i.test(line)) return 'err';
  if (/\bwarn(ing)?\b/i.test(line)) return 'warn';
  return undefined;
}

/** Lines as the server sends them, from the tail on; gathered a few times a second. */
function useFollowed(id: number, on: boolean): string[] | null {
  const [lines, setLines] = useState<string[] | null>(null);
  useEffect(() => {
    if (!on) {
      setLines(null);
      return;
    }
    let gathered: string[] = [];
    const source = new EventSource(withToken(address(`/runs/${id}/logs`, { tail: TAIL, follow: 1 })));
    // A reconnection sends the tail anew, so what was gathered before it would appear twice.
    source.onopen = () => {
      gathered = [];
      setLines([]);
    };
    source.onmessage = (event: MessageEvent<string>) => void gathered.push(event.data);
    source.addEventListener('end', () => source.close());
    const timer = setInterval(() => {
      if (gathered.length === 0) return;
      const fresh = gathered;
      gathered = [];
      setLines((old) => [...(old ?? []), ...fresh].slice(-KEEP));
    }, 200);
    return () => {
      clearInterval(timer);
      source.close();
    };
  }, [id, on]);
  return lines;
}

export function LogView({ run }: { run: Run }) {
  const canFollow = !isTerminal(run.state);
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(true);
  const followed = useFollowed(run.id, follow && canFollow);
  const tail = useQuery({
    queryKey: ['logs', run.id],
    queryFn: ({ signal }) => get<{ lines: string[] }>(`/runs/${run.id}/logs`, { tail: TAIL }, signal),
    enabled: !(follow && canFollow),
  });
  const lines = followed ?? tail.data?.lines ?? [];
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const element = box.current;
    if (element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [lines]);

  return (
    <div className="card">
      <div className="card-head" style={{ paddingBottom: 12 }}>
        <h2 className="card-title">Worker log</h2>
        <span className="faint num" style={{ fontSize: 13 }}>
          {lines.length > 0 ? plural(lines.length, 'line') : ''}
        </span>
        <Group gap="lg" ml="auto">
          {canFollow && <Switch size="sm" label="Follow" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />}
          <Switch size="sm" label="Wrap" checked={wrap} onChange={(event) => setWrap(event.currentTarget.checked)} />
          {!(follow && canFollow) && (
            <Button size="compact-sm" variant="default" leftSection={<IconRefresh size={14} />} onClick={() => void tail.refetch()} loading={tail.isFetching}>
              Reload
            </Button>
          )}
        </Group>
      </div>
      {tail.error ? (
        <ErrorState error={tail.error} retry={() => void tail.refetch()} />
      ) : tail.isLoading ? (
        <Skeleton h={300} m="lg" />
      ) : lines.length === 0 ? (
        <EmptyState icon={IconFileOff} title="The log is empty">
          {canFollow ? 'Lines appear here as the worker writes them.' : 'The worker wrote nothing.'}
        </EmptyState>
      ) : (
        <pre
          className={wrap ? 'log wrap' : 'log'}
          ref={box}
          tabIndex={0}
          aria-label="Log lines"
          onScroll={(event) => {
            const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
            atEnd.current = scrollHeight - scrollTop - clientHeight < 24;
          }}
        >
          {lines.map((line, index) => (
            <div key={index} className={tone(line)}>
              {line || ' '}
            </div>
          ))}
        </pre>
      )}
    </div>
  );
}
