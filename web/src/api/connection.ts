// Owns the state of the event stream as the page sees it: a tiny store for useSyncExternalStore.
import { useSyncExternalStore } from 'react';

export type ConnectionStatus = 'connecting' | 'open' | 'lost';

let status: ConnectionStatus = 'connecting';
const listeners = new Set<() => void>();

export function setConnection(next: ConnectionStatus): void {
  if (next === status) return;
  status = next;
  listeners.forEach((listener) => listener());
}

export function useConnection(): ConnectionStatus {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => status,
  );
}
