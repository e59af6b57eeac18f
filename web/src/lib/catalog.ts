// Owns the match of concrete metric names (router/layer_3_maxvio) with catalogue entries (router/layer_{l}_maxvio). Pure.
import type { MetricInfo } from '../api/types';

const patterns = new Map<string, RegExp>();

function patternOf(name: string): RegExp {
  let pattern = patterns.get(name);
  if (!pattern) {
    const escaped = name.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[le]\}/g, '(\\d+)').replace('{d}', '([a-z][a-z0-9_]*)');
    pattern = new RegExp(`^${escaped}$`);
    patterns.set(name, pattern);
  }
  return pattern;
}

/** What stands for {l}, {e} (a number; one of both orders by layer, then expert) or {d} (a domain) in `key`; -1 when the entry has none; null when `key` is not of this entry. */
export function memberOf(info: MetricInfo, key: string): number | string | null {
  const found = patternOf(info.name).exec(key);
  if (!found) return null;
  if (found[1] === undefined) return -1;
  if (found[2] !== undefined) return Number(found[1]) * 1e6 + Number(found[2]); // layer first, then expert
  return info.name.includes('{d}') ? found[1] : Number(found[1]);
}

/** The entry of `key`. One of its own goes before a family that it looks like: eval/loss_hf is no domain. */
export function entryOf(catalog: readonly MetricInfo[], key: string): MetricInfo | undefined {
  return catalog.find((info) => info.name === key) ?? catalog.find((info) => memberOf(info, key) !== null);
}

export function isFamily(info: MetricInfo): boolean {
  return info.name.includes('{');
}

/** "MaxVio, layer {l}" -> "MaxVio by layer": the title of a chart that holds the whole family. */
export function familyTitle(info: MetricInfo): string {
  return info.title.replace(/,? layer \{l\}/, ' by layer').replace(/ of expert \{e\}/, ' by expert').replace(/, \{d\}/, ' by domain');
}

export interface MetricGroup {
  name: string;
  metrics: MetricInfo[];
}

/** Catalogue groups, in catalogue order, that have at least one of `keys`. */
export function groupsWith(catalog: readonly MetricInfo[], keys: readonly string[]): MetricGroup[] {
  const present = new Set(keys.map((key) => entryOf(catalog, key)));
  const groups = new Map<string, MetricGroup>();
  for (const info of catalog) {
    if (!present.has(info)) continue;
    const group = groups.get(info.group) ?? { name: info.group, metrics: [] };
    group.metrics.push(info);
    groups.set(info.group, group);
  }
  return [...groups.values()];
}
