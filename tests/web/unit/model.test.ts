import { QueryClient } from '@tanstack/react-query';
import { describe, expect, it } from 'vitest';

import { dropExperiments, dropRuns, mergeMember } from '../../../web/src/api/patch';
import { keys } from '../../../web/src/api/queries';
import type { ExpertLoad, MetricInfo, Run } from '../../../web/src/api/types';
import { entryOf, familyTitle, groupsWith, memberOf } from '../../../web/src/lib/catalog';
import { differing, flatten, sections } from '../../../web/src/lib/config';
import { frameCells, layerLoad, ratioPosition } from '../../../web/src/lib/load';

const info = (name: string, group: string, title = name): MetricInfo => ({ name, group, title, unit: '', direction: 'none', doc: '' });

describe('metric catalogue', () => {
  it('matches a family by its number, and nothing that merely looks alike', () => {
    const maxvio = info('router/layer_{l}_maxvio', 'balance by layer', 'MaxVio, layer {l}');
    expect(memberOf(maxvio, 'router/layer_12_maxvio')).toBe(12);
    expect(memberOf(maxvio, 'router/layer_x_maxvio')).toBeNull();
    expect(memberOf(maxvio, 'router/layer_1_maxvio_max')).toBeNull();
    expect(memberOf(info('train/loss', 'loss'), 'train/loss')).toBe(-1);
    const share = info('router/layer_{l}_expert_{e}_frac', 'load by layer');
    expect(memberOf(share, 'router/layer_2_expert_10_frac')).toBe(2_000_010);
    expect(memberOf(share, 'router/layer_2_expert_frac')).toBeNull();
    expect(familyTitle(maxvio)).toBe('MaxVio by layer');
  });
  it('knows a domain by its name, and a metric of its own before a domain', () => {
    const domain = info('eval/loss_{d}', 'by domain', 'Evaluation loss, {d}');
    const hf = info('eval/loss_hf', 'loss');
    expect(memberOf(domain, 'eval/loss_stack_v2')).toBe('stack_v2');
    expect(memberOf(domain, 'eval/loss_2')).toBeNull();
    expect(familyTitle(domain)).toBe('Evaluation loss by domain');
    expect(entryOf([domain, hf], 'eval/loss_hf')).toBe(hf);
    expect(entryOf([domain, hf], 'eval/loss_math')).toBe(domain);
    expect(entryOf([domain, hf], 'eval/cv')).toBeUndefined();
    expect(groupsWith([domain, hf], ['eval/loss_hf']).map((g) => g.name)).toEqual(['loss']);
  });
  it('groups only what a run has, in catalogue order', () => {
    const catalog = [info('a/x', 'one'), info('b/y', 'two'), info('c/{l}', 'one')];
    expect(groupsWith(catalog, ['c/3', 'a/x']).map((g) => [g.name, g.metrics.length])).toEqual([['one', 2]]);
  });
});

describe('configurations', () => {
  it('differ by path, also where only one side has the knob', () => {
    const a = flatten({ seed: 0, moe: { num_experts: 8, layers: [1, 2] } });
    const b = flatten({ seed: 0, moe: { num_experts: 4, layers: [1, 2], extra: null } });
    expect(differing(a, b)).toEqual(new Set(['moe.num_experts', 'moe.extra']));
    expect(sections(a).map((s) => [s.name, s.rows.map((row) => row.name)])).toEqual([
      ['run', ['seed']],
      ['moe', ['num_experts', 'layers']],
    ]);
  });
});

describe('expert load', () => {
  const data: ExpertLoad = {
    layers: [3, 5],
    slots: 2,
    experts: 4,
    frames: [{ step: 1, load: [1, 0, 0, 0, 0.5, 0.5, 0, 0, 0.25, 0.75, 0, 0, 0.75, 0.25, 0, 0] }],
    total_frames: 1,
    derived: { cv: [], maxvio: [], entropy: [], dead: [] },
  };
  it('unfolds row-major: layer, slot, expert', () => {
    const cells = frameCells(data, 0);
    expect(cells[0]).toEqual({ layer: 3, slot: 0, expert: 0, load: 1, ratio: 4 });
    expect(cells[9]).toEqual({ layer: 5, slot: 0, expert: 1, load: 0.75, ratio: 3 });
    expect(cells[13]).toEqual({ layer: 5, slot: 1, expert: 1, load: 0.25, ratio: 1 });
    expect(cells).toHaveLength(16);
  });
  it('averages the slots of a layer', () => {
    expect(layerLoad(data, 0, 0)).toEqual([0.75, 0.25, 0, 0]);
    expect(layerLoad(data, 0, 1)).toEqual([0.5, 0.5, 0, 0]);
  });
  it('colours the fair share neutral, its double and half equally far, and a dead expert at the end', () => {
    expect(ratioPosition(1)).toBe(0);
    expect(ratioPosition(2)).toBe(-ratioPosition(0.5));
    expect(ratioPosition(0)).toBe(-2);
    expect(ratioPosition(64)).toBe(2);
  });
});

describe('what was deleted', () => {
  it('leaves every list, and the totals follow', () => {
    const client = new QueryClient();
    const rows = [1, 2, 3].map((id) => ({ id }) as Run);
    client.setQueryData([...keys.runs, {}], { pages: [{ runs: rows.slice(0, 2), total: 3, next_cursor: '2' }, { runs: rows.slice(2), total: 3, next_cursor: null }], pageParams: [undefined, '2'] });
    client.setQueryData([...keys.members(4), { archived: false }], rows);
    client.setQueryData([...keys.queue, 100], { total: 3, runs: rows });
    client.setQueryData([...keys.experiments, { archived: false }], { experiments: [{ id: 4 }, { id: 5 }], total: 2 });
    dropRuns(client, new Set([2, 3, 9]));
    dropExperiments(client, new Set([5]));
    expect(client.getQueryData([...keys.runs, {}])).toMatchObject({ pages: [{ runs: [{ id: 1 }], total: 1 }, { runs: [], total: 1 }] });
    expect(client.getQueryData([...keys.members(4), { archived: false }])).toEqual([{ id: 1 }]);
    expect(client.getQueryData([...keys.queue, 100])).toMatchObject({ runs: [{ id: 1 }] });
    expect(client.getQueryData([...keys.experiments, { archived: false }])).toEqual({ experiments: [{ id: 4 }], total: 1 });
  });
});

describe('mergeMember', () => {
  const row = { id: 5, experiment_id: 3, name: 'b3_e8_k1', experiment: 'b', is_baseline: true, baseline: 'b3_e8_k1', varied: { x: 1 }, step: 1 } as unknown as Run;
  const fresh = { id: 5, experiment_id: 2, name: 'a2', experiment: 'a', is_baseline: false, baseline: 'a0', varied: {}, step: 9 } as unknown as Run;
  it('takes the progress but keeps the name that the run has in this experiment', () => {
    expect(mergeMember(row, fresh)).toMatchObject({ name: 'b3_e8_k1', experiment_id: 3, is_baseline: true, varied: { x: 1 }, step: 9 });
  });
  it('keeps its name also when the other name is in the same experiment', () => {
    expect(mergeMember(row, { ...fresh, experiment_id: 3 })).toMatchObject({ name: 'b3_e8_k1', step: 9 });
  });
  it('takes everything when place and name are the same', () => {
    expect(mergeMember(row, { ...fresh, experiment_id: 3, name: 'b3_e8_k1' })).toMatchObject({ baseline: 'a0', step: 9 });
  });
});
