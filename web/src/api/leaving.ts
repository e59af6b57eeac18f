// Owns which pages are about to be left because this browser deletes what they show: asking for it again could only fail.
const leaving = new Set<string>();

type Key = readonly [string, number];

/** Until the returned function is called, which takes it back. */
export function leave(keys: readonly Key[]): () => void {
  const names = keys.map((key) => key.join(':'));
  names.forEach((name) => leaving.add(name));
  return () => names.forEach((name) => leaving.delete(name));
}

export function isLeft(key: Key): boolean {
  return leaving.has(key.join(':'));
}
