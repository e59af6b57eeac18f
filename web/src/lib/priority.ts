// Owns what counts as a priority: the contract's whole number from -1000 to 1000; larger runs sooner. Pure.
export const MAX_PRIORITY = 1000;

/** The number, or null when the text is none that the server takes. */
export function parsePriority(text: string): number | null {
  const plain = text.trim().replace('−', '-');
  if (!/^[+-]?\d{1,5}$/.test(plain)) return null;
  const value = Number(plain);
  return Math.abs(value) <= MAX_PRIORITY ? value : null;
}
