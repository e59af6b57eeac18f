// The webhooks of the mock: one that works, one whose receiver is away. Nothing is ever called.
import type { components } from '../../../web/src/api/schema.d.ts';

type Schemas = components['schemas'];
type Webhook = Schemas['Webhook'];

function delivery(id: number, more: Partial<Schemas['Delivery']>): Schemas['Delivery'] {
  const time = new Date(Date.now() - 4 * 60_000).toISOString();
  const payload = { event_id: `e${id}`, type: 'run_state' as const, time, run: null };
  return { id, event_id: payload.event_id, type: 'run_state', result: 'delivered', attempts: 1, status: 204, error: '', created_at: time, last_attempt_at: time, next_attempt_at: null, payload, ...more };
}

export function makeWebhooks(): Map<number, Webhook> {
  const created_at = new Date(Date.now() - 3 * 86_400_000).toISOString();
  const hooks: Webhook[] = [
    { id: 1, url: 'https://chat.example.org/hooks/moelab', events: ['completed', 'failed', 'alert'], experiment: null, enabled: true, created_at, pending: 0, last_delivery: delivery(1, {}) },
    { id: 2, url: 'https://night.example.org/on-end', events: ['lost', 'out_of_memory'], experiment: 'f_seeds', enabled: true, created_at, pending: 2, last_delivery: delivery(2, { result: 'pending', status: 503, attempts: 3, error: 'the receiver answered 503' }) },
  ];
  return new Map(hooks.map((hook) => [hook.id, hook]));
}

/** Null where the daemon refuses the address. */
export function addWebhook(hooks: Map<number, Webhook>, asked: Schemas['NewWebhook']): Schemas['CreatedWebhook'] | null {
  if (/\/\/(127\.|10\.|192\.168\.|localhost)/.test(asked.url)) return null;
  const hook: Webhook = { id: Math.max(0, ...hooks.keys()) + 1, url: asked.url, events: asked.events ?? ['completed'], experiment: asked.experiment ?? null, enabled: true, created_at: new Date().toISOString(), pending: 0, last_delivery: null };
  hooks.set(hook.id, hook);
  return { ...hook, secret: 'mock-secret-0123456789abcdef' };
}

export function testWebhook(hook: Webhook): Schemas['Delivery'] {
  const away = hook.url.includes('night');
  hook.last_delivery = delivery(99, { type: 'test', ...(away ? { result: 'given_up', status: 503, error: 'the receiver answered 503' } : {}) });
  return hook.last_delivery;
}
