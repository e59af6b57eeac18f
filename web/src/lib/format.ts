// Owns how values are spelled for people. Pure; every function takes null and returns an en dash for "not known".
import { isFiniteNumber } from './numbers';

export const NOTHING = '–';
const MINUS = '−';

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '∞' : `${MINUS}∞`;
}

function withMinus(text: string): string {
  return text.replace('-', MINUS);
}

export function fixed(value: number | null | undefined, digits: number): string {
  if (value === null || value === undefined) return NOTHING;
  if (!Number.isFinite(value)) return nonFinite(value);
  return withMinus(value.toFixed(digits));
}

/** Four significant digits, scientific where that is shorter: learning rates beside token counts. */
export function significant(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return NOTHING;
  if (!Number.isFinite(value)) return nonFinite(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6) return compact(value);
  if (size < 1e-3) return withMinus(value.toExponential(2).replace(/\.?0+e/, 'e'));
  if (Number.isInteger(value)) return withMinus(value.toLocaleString('en-US'));
  return withMinus(String(Number(value.toPrecision(digits))));
}

const UNITS: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** 401540000 -> 401.5M. */
export function compact(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return NOTHING;
  if (!Number.isFinite(value)) return nonFinite(value);
  // 999,960 rounds up to 1000.0k, which is 1.0M: pick the unit after rounding.
  const size = Math.abs(value);
  if (size < 999.5) return withMinus(String(Math.round(value)));
  for (const [unit, name] of UNITS) {
    if (Number((size / unit).toFixed(digits)) >= 1) return withMinus((value / unit).toFixed(digits)) + name;
  }
  return withMinus(String(Math.round(value)));
}

/** A signed difference: "+0.0102", "−0.0031", "±0". */
export function signed(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return NOTHING;
  if (!Number.isFinite(value)) return nonFinite(value);
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return '±0';
  return (value > 0 ? '+' : MINUS) + text;
}

export function percent(fraction: number | null | undefined, digits = 0): string {
  if (!isFiniteNumber(fraction)) return NOTHING;
  return `${(fraction * 100).toFixed(digits)}%`;
}

/** Seconds as the two largest units: "47s", "3m 05s", "2h 07m", "1d 04h". */
export function duration(seconds: number | null | undefined): string {
  if (!isFiniteNumber(seconds) || seconds < 0) return NOTHING;
  if (seconds < 1 && seconds > 0) return '<1s';
  const s = Math.round(seconds);
  const pad = (n: number) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${pad(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${pad(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d ${pad(Math.floor((s % 86400) / 3600))}h`;
}

export function bytes(count: number | null | undefined): string {
  if (!isFiniteNumber(count)) return NOTHING;
  if (count < 1024) return `${count} B`;
  const names = ['KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(count) / 10), names.length);
  return `${(count / 1024 ** power).toFixed(1)} ${names[power - 1]}`;
}

export function ago(time: string | null | undefined, now: number): string {
  if (!time) return NOTHING;
  const seconds = (now - Date.parse(time)) / 1000;
  if (!Number.isFinite(seconds)) return NOTHING;
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ago`;
  return `${Math.floor(seconds / 86400)}d ago`;
}

export function dateTime(time: string | null | undefined): string {
  if (!time) return NOTHING;
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return NOTHING;
  return date.toLocaleString('en-GB', { year: 'numeric', month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** A knob's value as one would write it in YAML. */
export function knobValue(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : significant(value, 6);
  if (Array.isArray(value)) return `[${value.map(knobValue).join(', ')}]`;
  if (typeof value === 'object') return JSON.stringify(value);
  return value === '' ? '""' : String(value);
}

/** "moe.num_experts" -> "num_experts": badges have little room and the last part says it. */
export function knobName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

/** "waits for a GPU" -> "Waits for a GPU.": a reason of the server, written to follow a name, on a line of its own. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  const name = /^[a-z]*[\d_]/.test(trimmed); // gpu0 is spelled like that
  return (name ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1)) + (/[.!?)`]$/.test(trimmed) ? '' : '.');
}

/** [0, 1, 2, 3, 8] -> "0–3, 8". */
export function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else if (!last || n !== last[1]) parts.push([n, n]);
  }
  return parts.map(([from, to]) => (from === to ? String(from) : `${from}–${to}`)).join(', ');
}
