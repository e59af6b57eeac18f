// Owns the comparison of resolved configurations. Pure.

export type Flat = Map<string, unknown>;

/** {moe: {num_experts: 8}} -> "moe.num_experts" -> 8. Lists are values, not branches. */
export function flatten(config: Record<string, unknown>, prefix = ''): Flat {
  const flat: Flat = new Map();
  for (const [key, value] of Object.entries(config)) {
    const path = prefix ? `${prefix}.${key}` : key;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [inner, leaf] of flatten(value as Record<string, unknown>, path)) flat.set(inner, leaf);
    } else {
      flat.set(path, value);
    }
  }
  return flat;
}

/** Paths whose values differ, including those that only one side has. */
export function differing(a: Flat, b: Flat): Set<string> {
  const paths = new Set<string>();
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    if (JSON.stringify(a.get(path)) !== JSON.stringify(b.get(path))) paths.add(path);
  }
  return paths;
}

export interface Section {
  name: string;
  rows: { path: string; name: string; value: unknown }[];
}

/** Knobs grouped by their first part; those without one stand first under "run". */
export function sections(flat: Flat): Section[] {
  const byName = new Map<string, Section>();
  for (const [path, value] of flat) {
    const dot = path.indexOf('.');
    const name = dot < 0 ? 'run' : path.slice(0, dot);
    const section = byName.get(name) ?? { name, rows: [] };
    section.rows.push({ path, name: dot < 0 ? path : path.slice(dot + 1), value });
    byName.set(name, section);
  }
  return [...byName.values()];
}
