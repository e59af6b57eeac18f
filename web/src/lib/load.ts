// Owns the arithmetic of expert loads as the page shows them. Pure. A load is the share of one (layer, k-slot) row's
// assignments that an expert received; the fair share is 1/E, and "ratio" means load / fair share.
import type { ExpertLoad, Run } from '../api/types';

/** Colours saturate at this many times (and this fraction of) the fair share; log2 scale, so 4x and 1/4x are equally far. */
export const RATIO_LIMIT = 4;

/** A dense run, and one before its first step, has no expert load to ask for. Every router logs its own metrics. */
export function hasExperts(run: Run): boolean {
  return Object.keys(run.metrics).some((name) => name.startsWith('router/'));
}

/** Position on the diverging colour scale: log2(ratio) clipped to [-log2 limit, +log2 limit]; a dead expert sits at the low end. */
export function ratioPosition(ratio: number): number {
  const limit = Math.log2(RATIO_LIMIT);
  if (ratio <= 0) return -limit;
  return Math.max(-limit, Math.min(limit, Math.log2(ratio)));
}

export interface LoadCell {
  layer: number;
  slot: number;
  expert: number;
  load: number;
  ratio: number;
}

/** Cells of one frame, rows in the order layer 0 slot 0, layer 0 slot 1, ...; `frame` must be a valid index. */
export function frameCells(data: ExpertLoad, frame: number): LoadCell[] {
  const { slots, experts, layers } = data;
  const load = data.frames[frame]?.load ?? [];
  return load.map((value, index) => ({
    layer: layers[Math.floor(index / (slots * experts))] ?? 0,
    slot: Math.floor(index / experts) % slots,
    expert: index % experts,
    load: value,
    ratio: value * experts,
  }));
}

/** Load of each expert in one layer, averaged over the k-slots (each slot holds the same number of assignments). */
export function layerLoad(data: ExpertLoad, frame: number, layerIndex: number): number[] {
  const { slots, experts } = data;
  const load = data.frames[frame]?.load ?? [];
  const start = layerIndex * slots * experts;
  return Array.from({ length: experts }, (_, e) => {
    let sum = 0;
    for (let k = 0; k < slots; ++k) sum += load[start + k * experts + e] ?? 0;
    return sum / slots;
  });
}

export function rowLabel(layer: number, slot: number, slots: number): string {
  return slots > 1 ? `L${layer}·k${slot}` : `L${layer}`;
}
