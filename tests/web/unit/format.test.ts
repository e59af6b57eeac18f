import { describe, expect, it } from 'vitest';

import { ago, bytes, compact, duration, fixed, knobName, knobValue, percent, plural, significant, signed } from '../../../web/src/lib/format';

describe('compact', () => {
  it('picks the unit after rounding', () => {
    expect(compact(401_540_000)).toBe('401.5M');
    expect(compact(999_960)).toBe('1.0M');
    expect(compact(600)).toBe('600');
    expect(compact(999.7)).toBe('1.0k');
    expect(compact(-31_000)).toBe('−31.0k');
  });
});

describe('non-finite and missing values', () => {
  it('are spelled out, never printed as a number', () => {
    for (const format of [compact, significant, (v: number | null) => fixed(v, 2), (v: number | null) => signed(v)]) {
      expect(format(NaN)).toBe('NaN');
      expect(format(Infinity)).toBe('∞');
      expect(format(-Infinity)).toBe('−∞');
      expect(format(null)).toBe('–');
    }
    expect(percent(NaN)).toBe('–');
    expect(duration(null)).toBe('–');
  });
});

describe('signed', () => {
  it('always shows the sign, and no sign for what rounds to zero', () => {
    expect(signed(0.01021)).toBe('+0.0102');
    expect(signed(-0.0031)).toBe('−0.0031');
    expect(signed(-0.00004)).toBe('±0');
  });
});

describe('duration', () => {
  it('shows the two largest units', () => {
    expect(duration(0.4)).toBe('<1s');
    expect(duration(47)).toBe('47s');
    expect(duration(59.7)).toBe('1m 00s');
    expect(duration(185)).toBe('3m 05s');
    expect(duration(7620)).toBe('2h 07m');
    expect(duration(100_800)).toBe('1d 04h');
  });
});

describe('significant', () => {
  it('keeps four digits and goes scientific for the very small', () => {
    expect(significant(0.0008)).toBe('8e-4'.replace('-', '−'));
    expect(significant(3.14159)).toBe('3.142');
    expect(significant(1234)).toBe('1,234');
    expect(significant(0)).toBe('0');
  });
});

describe('small ones', () => {
  it('read as a person would write them', () => {
    expect(bytes(482_133)).toBe('470.8 KiB');
    expect(bytes(12)).toBe('12 B');
    expect(plural(1, 'run')).toBe('1 run');
    expect(plural(1200, 'run')).toBe('1,200 runs');
    expect(knobName('moe.num_experts')).toBe('num_experts');
    expect(knobName('seed')).toBe('seed');
    expect(knobValue([1, 2])).toBe('[1, 2]');
    expect(knobValue('')).toBe('""');
    expect(knobValue(null)).toBe('null');
  });
  it('tells the age of a time', () => {
    const now = Date.parse('2026-11-22T12:00:00Z');
    expect(ago('2026-11-22T11:59:56Z', now)).toBe('just now');
    expect(ago('2026-11-22T11:57:00Z', now)).toBe('3m ago');
    expect(ago('2026-11-20T11:00:00Z', now)).toBe('2d ago');
    expect(ago('nonsense', now)).toBe('–');
  });
});
