import { describe, expect, it } from 'vitest';

import type { Delivery } from '../../../web/src/api/types';
import { ALL_EVENTS, DEFAULT_EVENTS, deliveryWords, eventWords, urlProblem } from '../../../web/src/lib/webhooks';

describe('webhooks in words', () => {
  it('take http and https, without credentials and fragment', () => {
    expect(urlProblem(' https://example.org/hook?a=1 ')).toBeNull();
    expect(urlProblem('http://[2001:db8::1]:8080/x')).toBeNull();
    for (const wrong of ['', 'example.org', 'ftp://example.org', 'https://me:pw@example.org', 'https://example.org/#x']) expect(urlProblem(wrong)).not.toBeNull();
  });
  it('name what they listen to', () => {
    expect(eventWords([...DEFAULT_EVENTS].reverse())).toBe('every end of a run, and alerts');
    expect(eventWords(['out_of_memory', 'alert'])).toBe('out of memory, alert');
    expect(new Set(ALL_EVENTS).size).toBe(14);
  });
  it('say how the last call went', () => {
    const call = (more: Partial<Delivery>) => deliveryWords({ result: 'delivered', attempts: 1, status: 204, error: '', ...more } as Delivery);
    expect(call({})).toBe('delivered (204)');
    expect(call({ attempts: 3 })).toBe('delivered after 3 tries (204)');
    expect(call({ result: 'pending', status: null })).toBe('will be tried again: no answer');
    expect(call({ result: 'given_up', attempts: 8, status: 503 })).toBe('given up after 8 tries: answered 503');
  });
});
