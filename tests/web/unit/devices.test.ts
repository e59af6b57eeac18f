import { describe, expect, it } from 'vitest';

import type { Device } from '../../../web/src/api/types';
import { countWords, deviceVerb, meaningOf } from '../../../web/src/lib/devices';
import { ranges } from '../../../web/src/lib/format';

describe('devices in words', () => {
  const device = (state: Device['state'], note = '') => ({ state, note }) as Device;
  it('are counted, troubles only when there are any', () => {
    expect(countWords([device('free'), device('quarantined'), device('free')])).toBe('2 free, 0 leased, 1 in quarantine');
    expect(countWords([])).toBe('0 free, 0 leased');
  });
  it('can be disabled, enabled again, and not mended', () => {
    expect((['free', 'leased', 'busy', 'quarantined', 'disabled', 'faulty'] as const).map(deviceVerb)).toEqual(['disable', 'disable', 'disable', 'enable', 'enable', null]);
  });
  it("say the server's reason, else what the state means", () => {
    expect(meaningOf(device('busy', 'pid 7 of maria'))).toBe('pid 7 of maria');
    expect(meaningOf(device('faulty'))).toBe('It cannot be used.');
  });
  it('list CPUs as ranges', () => {
    expect(ranges([3, 1, 2, 8, 0, 8])).toBe('0–3, 8');
    expect(ranges([])).toBe('');
  });
});
