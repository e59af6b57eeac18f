import { describe, expect, it } from 'vitest';

import type { RunState } from '../../../web/src/api/types';
import { canDelete, canDeleteExperiment, whatGoes } from '../../../web/src/lib/deletion';
import { sentence } from '../../../web/src/lib/format';
import { parsePriority } from '../../../web/src/lib/priority';
import { isLive, isTerminal, lookOf, SEGMENT_ORDER, STATES } from '../../../web/src/lib/states';
import { applicable, outcome, VERBS, type PageVerb } from '../../../web/src/lib/verbs';

const verbsOf = (state: string) => applicable([{ state: state as RunState, archived: false }]).map(({ verb }) => verb);

describe('verbs', () => {
  it('apply where the daemon would take them, state by state', () => {
    const table: Record<RunState, PageVerb[]> = {
      queued: ['pause', 'cancel'],
      starting: ['pause', 'cancel', 'kill'],
      running: ['pause', 'cancel', 'kill'],
      stopping: ['kill'],
      paused: ['resume', 'cancel'],
      completed: ['rerun', 'archive'],
      pruned: ['rerun', 'archive'],
      failed: ['retry', 'rerun', 'archive'],
      cancelled: ['retry', 'rerun', 'archive'],
      timed_out: ['retry', 'rerun', 'archive'],
      out_of_memory: ['retry', 'rerun', 'archive'],
      lost: ['retry', 'rerun', 'archive'],
      skipped: ['retry', 'rerun', 'archive'],
    };
    for (const [state, verbs] of Object.entries(table)) expect([state, verbsOf(state)]).toEqual([state, verbs]);
  });
  it('are counted over several states', () => {
    expect(applicable((['running', 'queued', 'paused', 'completed'] as const).map((state) => ({ state, archived: false })))).toEqual([
      { verb: 'pause', count: 2 },
      { verb: 'resume', count: 1 },
      { verb: 'cancel', count: 3 },
      { verb: 'kill', count: 1 },
      { verb: 'rerun', count: 1 },
      { verb: 'archive', count: 1 },
    ]);
    expect(applicable([{ state: 'failed', archived: true }]).map(({ verb }) => verb)).toEqual(['retry', 'rerun', 'unarchive']);
    expect(applicable([])).toEqual([]);
  });
  it('say what is lost before they do it', () => {
    expect(VERBS.kill.says('running')).toContain('no checkpoint');
    expect(VERBS.pause.says('running')).toContain('gives the device back');
    expect(VERBS.pause.says('queued')).toContain('leaves the queue');
    expect(VERBS.rerun.says('completed')).toContain('step 0');
  });
  it('are told in one sentence with those that were left', () => {
    expect(outcome('pause', 2, 0)).toBe('2 runs were paused');
    expect(outcome('cancel', 1, 1)).toBe('1 run was cancelled, 1 was left as it is');
    expect(outcome('kill', 0, 3)).toBe('No run was killed, 3 were left as they are');
  });
});

describe('deletion', () => {
  const run = (name: string) => ({ name, aliases: [] });
  it('is offered for what has no worker', () => {
    for (const state of Object.keys(STATES)) expect(canDelete({ state: state as RunState })).toBe(!isLive(state));
    expect(canDeleteExperiment({ counts: { completed: 2, running: 0 } })).toBe(true);
    expect(canDeleteExperiment({ counts: { completed: 2, stopping: 1 } })).toBe(false);
  });
  it('names what goes', () => {
    expect(whatGoes([run('a')])).toBe('a: its metrics, checkpoints, journal and artifacts go for good; nothing brings them back.');
    expect(whatGoes(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(run), 1)).toContain('a, b, c, d, e and 2 more: their');
    expect(whatGoes([run('a')], 2)).toContain('2 runs of your choice have workers and stay.');
    expect(whatGoes([])).toBe('No run goes with it.');
  });
});

describe('states', () => {
  it('have a look each, stand once in the bar, and are live, ended or neither', () => {
    const all = Object.keys(STATES);
    expect([...SEGMENT_ORDER].sort()).toEqual([...all].sort());
    for (const state of all) expect(isLive(state) && isTerminal(state)).toBe(false);
    expect(lookOf('paused').label).toBe('Paused');
    expect([isLive('paused'), isTerminal('paused')]).toEqual([false, false]);
    expect(lookOf('frozen_solid').label).toBe('frozen solid');
  });
});

describe('priority', () => {
  it('is a whole number that the server takes', () => {
    expect(['0', ' 7 ', '-3', '−3', '+5', '1000', '-1000'].map(parsePriority)).toEqual([0, 7, -3, -3, 5, 1000, -1000]);
  });
  it('is nothing else', () => {
    expect(['', '1.5', '1e3', '1001', '-1001', 'high', '0x10', '--1', '12345678901234567890'].map(parsePriority)).toEqual(Array(9).fill(null));
  });
});

describe('sentence', () => {
  it("makes the server's reason stand alone", () => {
    expect(sentence('waits for a GPU: gpu0 is busy')).toBe('Waits for a GPU: gpu0 is busy.');
    expect(sentence('It ended.')).toBe('It ended.');
    expect(sentence('gpu2 is used by maria')).toBe('gpu2 is used by maria.');
    expect(sentence(' ')).toBe('');
  });
});
