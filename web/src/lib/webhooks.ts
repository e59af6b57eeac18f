// Owns the words around webhooks: what one listens to, and how its last call went. Pure.
import type { Webhook } from '../api/types';
import { lookOf } from './states';

/** States that end a run, and alerts: the daemon's own choice when nothing is named. */
export const DEFAULT_EVENTS: Webhook['events'] = ['completed', 'failed', 'cancelled', 'timed_out', 'out_of_memory', 'lost', 'pruned', 'skipped', 'alert'];
export const ALL_EVENTS: Webhook['events'] = ['queued', 'starting', 'running', 'stopping', 'paused', ...DEFAULT_EVENTS];

export function eventLabel(event: Webhook['events'][number]): string {
  return event === 'alert' ? 'Alert' : lookOf(event).label;
}

export function eventWords(events: Webhook['events']): string {
  const same = events.length === DEFAULT_EVENTS.length && DEFAULT_EVENTS.every((event) => events.includes(event));
  return same ? 'every end of a run, and alerts' : events.map((event) => eventLabel(event).toLowerCase()).join(', ');
}

/** What is wrong with an address before it is sent; the daemon checks it again, and where it points to. */
export function urlProblem(text: string): string | null {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return 'An http or https address, such as https://example.org/hook';
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'Only http and https';
  if (url.username || url.password) return 'Without user and password: the signature proves who calls';
  if (url.hash) return 'Without the part after #';
  return null;
}

export function deliveryWords(delivery: NonNullable<Webhook['last_delivery']>): string {
  const tries = delivery.attempts > 1 ? ` after ${delivery.attempts} tries` : '';
  if (delivery.result === 'delivered') return `delivered${tries}${delivery.status === null ? '' : ` (${delivery.status})`}`;
  const why = delivery.error || (delivery.status === null ? 'no answer' : `answered ${delivery.status}`);
  return `${delivery.result === 'given_up' ? `given up${tries}` : 'will be tried again'}: ${why}`;
}
