// Owns the way from the wire to numbers: JSON has no NaN and no Infinity, so the server spells them as strings.
import type { WireNumber } from '../api/types';

export function toNumber(value: WireNumber | null | undefined): number | null {
  if (value === null || value === undefined) return null;
  // Number() reads exactly the three spellings of the contract: "NaN", "Infinity", "-Infinity".
  return typeof value === 'number' ? value : Number(value);
}

export function isFiniteNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** Ascending; absent and non-finite values come last in either direction, since a diverged run is never "best". */
export function compareNumbers(a: number | null | undefined, b: number | null | undefined, descending: boolean): number {
  const aFinite = isFiniteNumber(a);
  const bFinite = isFiniteNumber(b);
  if (!aFinite || !bFinite) return Number(bFinite) - Number(aFinite);
  return descending ? b - a : a - b;
}
