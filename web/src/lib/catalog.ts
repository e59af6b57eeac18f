// Owns the match of concrete metric names (router/layer_3_maxvio) with catalogue entries (router/layer_{l}_maxvio). Pure.
import type { MetricInfo } from '../api/types';

const patterns = new Map<string, RegExp>();

function patternOf(name: string): RegExp {
  let pattern = patterns.get(name);
  if (!pattern) {
    const escaped = name.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[le]\}/g, '(\\d+)');
    pattern = new RegExp(`^${escaped}$`);
    patterns.set(name, pattern);
  }
  return pattern;
}

/** The number that {l} or {e} stands for in `key`; -1 when the entry has none; null when `key` is not of this entry. */
export function memberNumber(info: MetricInfo, key: string): number | null {
  const found = patternOf(info.name).exec(key);
  if (!found) return null;
  return found[1] === undefined ? -1 : Number(found[1]);
}

export function isFamily(info: MetricInfo): boolean {
  return info.name.includes('{');
}

/** "MaxVio, layer {l}" -> "MaxVio by layer": the title of a chart that holds the whole family. */
export function familyTitle(info: MetricInfo): string {
  return info.title.replace(/,? layer \{l\}/, ' by layer').replace(/ of expert \{e\}/, ' by expert');
}

export interface MetricGroup {
  name: string;
  metrics: MetricInfo[];
}

/** Catalogue groups, in catalogue order, that have at least one of `keys`. */
export function groupsWith(catalog: readonly MetricInfo[], keys: readonly string[]): MetricGroup[] {
  const groups = new Map<string, MetricGroup>();
  for (const info of catalog) {
    if (!keys.some((key) => memberNumber(info, key) !== null)) continue;
    const group = groups.get(info.group) ?? { name: info.group, metrics: [] };
    group.metrics.push(info);
    groups.set(info.group, group);
  }
  return [...groups.values()];
}
