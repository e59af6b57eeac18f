// Owns the made-up world of the mock server: a seeded generator of a half-finished study. Nothing here is a measurement; the
// shapes of curves and loads are formulas chosen to exercise the page (a collapse, a divergence, dead experts, every state).
import type { components } from '../../../web/src/api/schema.d.ts';
import { makeWebhooks } from './webhooks.ts';

type Schemas = components['schemas'];
type Run = Schemas['Run'];
type State = Schemas['RunState'];

export const MAX_STEPS = 600;
const LOAD_EVERY = 10;
const EVAL_EVERY = 50;
const LAYERS = 4;
export const START = Date.now() - 35 * 60_000;

/** A number in [0, 1) that depends on nothing but its arguments. */
function noise(...seeds: number[]): number {
  let h = 0x9e3779b9;
  for (const seed of seeds) {
    h = Math.imul(h ^ (seed | 0), 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return (h >>> 0) / 2 ** 32;
}

type Balance = 'none' | 'penalty' | 'biasing' | 'dense';

interface Plan {
  name: string;
  varied: Record<string, unknown>;
  state: State;
  share: number;
  loss: number;
  balance: Balance;
  experts: number;
  active: number;
  shared?: number;
  parameters: number;
  reason?: string;
  signal?: number;
  exitCode?: number;
  divergesAt?: number;
  alias?: [experiment: string, name: string];
  seed?: number;
}

interface ExperimentPlan {
  name: string;
  baseline: string | null;
  tags: string[];
  notes: string;
  runs: Plan[];
}

const moe = (experts: number, active: number, width: number, more: Record<string, unknown> = {}) => ({
  'moe.num_experts': experts,
  'moe.num_active_experts': active,
  'moe.moe_intermediate_size': width,
  ...more,
});

const STUDY: ExperimentPlan[] = [
  {
    name: 'reference',
    baseline: 'llama2_ref',
    tags: ['dense'],
    notes: 'A dense Llama-2 trunk of the same active size, twice: once as the plain model, once as Moedl with one expert.',
    runs: [
      { name: 'llama2_ref', varied: {}, state: 'completed', share: 1, loss: 2.914, balance: 'dense', experts: 1, active: 1, parameters: 2.9e6, alias: ['reference', 'moedl_dense'] },
      { name: 'dense_wide', varied: { 'model.intermediate_size': 512 }, state: 'completed', share: 1, loss: 2.9038, balance: 'dense', experts: 1, active: 1, parameters: 3.4e6 },
    ],
  },
  {
    name: 'a_load_balance',
    baseline: 'a0_no_lb',
    tags: ['moe', 'balance'],
    notes: 'No balancing, the Switch penalty, and bias control on eight experts, one active. Balanced loads cost a little loss here.',
    runs: [
      { name: 'a0_no_lb', varied: { 'moe.lb_coeff': 0, 'moe.lb_gamma': 0 }, state: 'completed', share: 1, loss: 2.852, balance: 'none', experts: 8, active: 1, parameters: 7.64e6 },
      { name: 'a1_lb_penalty', varied: { 'moe.lb_coeff': 0.01 }, state: 'completed', share: 1, loss: 2.8665, balance: 'penalty', experts: 8, active: 1, parameters: 7.64e6 },
      { name: 'a2_lb_biasing', varied: { 'moe.lb_gamma': 0.01 }, state: 'running', share: 0.55, loss: 2.849, balance: 'biasing', experts: 8, active: 1, parameters: 7.64e6, alias: ['b_expert_count', 'b3_e8_k1'] },
    ],
  },
  {
    name: 'b_expert_count',
    baseline: 'b1_e2_k1',
    tags: ['moe'],
    notes: '',
    runs: [
      { name: 'b1_e2_k1', varied: { 'moe.num_experts': 2 }, state: 'completed', share: 1, loss: 2.888, balance: 'biasing', experts: 2, active: 1, parameters: 3.58e6 },
      { name: 'b2_e4_k1', varied: { 'moe.num_experts': 4 }, state: 'running', share: 0.38, loss: 2.871, balance: 'biasing', experts: 4, active: 1, parameters: 4.93e6 },
      { name: 'b4_e16_k1', varied: { 'moe.num_experts': 16 }, state: 'out_of_memory', share: 0.21, loss: 2.86, balance: 'biasing', experts: 16, active: 1, parameters: 13.1e6, reason: 'The worker ran out of memory; lower train.batch_size or raise train.grad_accum', exitCode: 1 },
    ],
  },
  {
    name: 'c_granularity',
    baseline: 'c2_e16_k2',
    tags: ['moe', 'granularity'],
    notes: 'The same active and total size cut into more and smaller experts.',
    runs: [
      { name: 'c2_e16_k2', varied: moe(16, 2, 128), state: 'completed', share: 1, loss: 2.801, balance: 'biasing', experts: 16, active: 2, parameters: 7.65e6 },
      { name: 'c3_e32_k4', varied: moe(32, 4, 64), state: 'starting', share: 0, loss: 2.79, balance: 'biasing', experts: 32, active: 4, parameters: 7.67e6, alias: ['d_shared_experts', 'd1_s0_k4_e32'] },
      { name: 'c4_e64_k8', varied: moe(64, 8, 32), state: 'running', share: 0.3, loss: 2.789, balance: 'biasing', experts: 64, active: 8, parameters: 7.71e6 },
    ],
  },
  {
    name: 'd_shared_experts',
    baseline: 'd2_s1_k3_e31',
    tags: ['moe'],
    notes: '',
    runs: [
      { name: 'd2_s1_k3_e31', varied: moe(31, 3, 64, { 'moe.num_shared_experts': 1 }), state: 'queued', share: 0, loss: 2.785, balance: 'biasing', experts: 31, active: 3, shared: 1, parameters: 7.67e6 },
      { name: 'd3_s2_k2_e30', varied: moe(30, 2, 64, { 'moe.num_shared_experts': 2 }), state: 'queued', share: 0, loss: 2.79, balance: 'biasing', experts: 30, active: 2, shared: 2, parameters: 7.67e6 },
      { name: 'd4_s3_k1_e29', varied: moe(29, 1, 64, { 'moe.num_shared_experts': 3 }), state: 'cancelled', share: 0, loss: 2.84, balance: 'biasing', experts: 29, active: 1, shared: 3, parameters: 7.67e6, reason: 'cancelled by request' },
    ],
  },
  {
    name: 'e_capacity',
    baseline: 'e3_cf_2.0',
    tags: ['moe', 'capacity'],
    notes: '',
    runs: [
      { name: 'e1_cf_1.0', varied: { 'moe.capacity_factor': 1.0 }, state: 'completed', share: 1, loss: 2.861, balance: 'biasing', experts: 8, active: 1, parameters: 7.64e6 },
      { name: 'e2_cf_1.5', varied: { 'moe.capacity_factor': 1.5 }, state: 'failed', share: 0.4, loss: 2.86, balance: 'none', experts: 8, active: 1, parameters: 7.64e6, reason: 'train/loss is NaN at step 240; lower train.lr', exitCode: 1, divergesAt: 225 },
      { name: 'e3_cf_2.0', varied: { 'moe.capacity_factor': 2.0 }, state: 'completed', share: 1, loss: 2.858, balance: 'biasing', experts: 8, active: 1, parameters: 7.64e6 },
      { name: 'e4_cf_2.5', varied: { 'moe.capacity_factor': 2.5 }, state: 'lost', share: 0.7, loss: 2.855, balance: 'biasing', experts: 8, active: 1, parameters: 7.64e6, reason: 'the worker was killed and its restarts are used up', signal: 9 },
    ],
  },
  {
    name: 'f_seeds',
    baseline: 'f0_plain',
    tags: ['moe', 'seeds'],
    notes: 'Three seeds a family, to tell an effect from noise.',
    runs: [
      ...seeds('f0_plain', {}, 2.852, ['completed', 'completed', 'completed']),
      ...seeds('f1_norm_topk', { 'moe.norm_topk_prob': true }, 2.8505, ['completed', 'completed', 'completed']),
      ...seeds('f2_shared', { 'moe.num_shared_experts': 1 }, 2.818, ['completed', 'completed', 'completed']),
      ...seeds('f3_capacity', { 'moe.capacity_factor': 1.0 }, 2.874, ['completed', 'failed', 'paused']),
      ...seeds('f4_wide', { 'moe.moe_intermediate_size': 256 }, 2.81, ['paused', 'queued', 'queued']),
    ],
  },
  {
    name: 'f_seeds.lr_sweep',
    baseline: null,
    tags: ['sweep'],
    notes: '',
    runs: [{ name: 'f0_plain,lr=0.0005', varied: { 'train.lr': 5e-4 }, state: 'completed', share: 1, loss: 3.4, balance: 'biasing', experts: 8, active: 1, parameters: 7.64e6 }],
  },
];

function seeds(name: string, varied: Record<string, unknown>, loss: number, states: State[]): Plan[] {
  const share: Partial<Record<State, number>> = { completed: 1, failed: 0.3, paused: 0.5 };
  return states.map((state, seed) => ({
    name: `${name},seed=${seed}`,
    varied: { ...varied, seed },
    state,
    share: share[state] ?? 0,
    loss: loss + 0.006 * (noise(seed, 17) - 0.5),
    balance: 'biasing',
    experts: 8,
    active: 1,
    parameters: 7.64e6,
    seed,
    ...(state === 'failed' ? { reason: 'exit code 1', exitCode: 1 } : state === 'paused' ? { reason: 'paused' } : {}),
  }));
}

interface Member {
  experimentId: number;
  run: number;
  name: string;
  varied: Record<string, unknown>;
}

export interface World {
  experiments: { id: number; plan: ExperimentPlan }[];
  plans: Map<number, Plan>;
  runs: Map<number, Run>;
  members: Member[];
  history: Map<number, Schemas['StateChange'][]>;
  queue: Pick<Schemas['Queue'], 'mode' | 'reason' | 'since'>;
  /** Run -> the device it is forced to. */
  forced: Map<number, string>;
  webhooks: Map<number, Schemas['Webhook']>;
  /** Device -> why a person disabled it; null = enabled by hand. */
  disabled: Map<string, string | null>;
}

/** With several seeds the runs of a family are called FAMILY,seed=N. */
export const familyOf = (name: string) => name.replace(/,seed=\d+$/, '');
export const isBaseline = (name: string, baseline: string | null) => familyOf(name) === baseline;

const iso = (offset_s: number) => new Date(START + offset_s * 1000).toISOString();

function key(id: number): string {
  return Array.from({ length: 64 }, (_, i) => Math.floor(noise(id, i) * 16).toString(16)).join('');
}

export function makeWorld(): World {
  const world: World = { experiments: [], plans: new Map(), runs: new Map(), members: [], history: new Map(), queue: { mode: 'open', reason: '', since: null }, forced: new Map(), disabled: new Map(), webhooks: makeWebhooks() };
  const experimentIds = new Map(STUDY.map((plan, i) => [plan.name, i + 1]));
  let nextRun = 1;
  for (const plan of STUDY) {
    const experimentId = experimentIds.get(plan.name) as number;
    world.experiments.push({ id: experimentId, plan });
    for (const runPlan of plan.runs) {
      const id = nextRun++;
      world.plans.set(id, runPlan);
      world.members.push({ experimentId, run: id, name: runPlan.name, varied: runPlan.varied });
      const aliases = [{ experiment_id: experimentId, experiment: plan.name, name: runPlan.name }];
      if (runPlan.alias) {
        const [experiment, name] = runPlan.alias;
        const other = experimentIds.get(experiment) as number;
        world.members.push({ experimentId: other, run: id, name, varied: { 'moe.num_experts': runPlan.experts } });
        aliases.push({ experiment_id: other, experiment, name });
      }
      const step = Math.round(runPlan.share * MAX_STEPS);
      const queued = runPlan.state === 'queued' || (runPlan.state === 'cancelled' && step === 0);
      const started = queued ? null : iso(60 + id * 95);
      const live = ['running', 'starting'].includes(runPlan.state);
      const run: Run = {
        id,
        name: runPlan.name,
        aliases,
        experiment: plan.name,
        experiment_id: experimentId,
        matrix: 'moe-ablations',
        key: key(id),
        state: runPlan.state,
        reason: runPlan.reason ?? '',
        waiting: '',
        exit_code: runPlan.exitCode ?? (runPlan.state === 'completed' ? 0 : null),
        signal: runPlan.signal ?? null,
        attempt: runPlan.state === 'lost' ? 4 : 1,
        restarts: runPlan.state === 'lost' ? 3 : 0,
        step,
        max_steps: MAX_STEPS,
        progress: step / MAX_STEPS,
        eta_s: live ? (MAX_STEPS - step) * 0.11 : null,
        phase: runPlan.state === 'starting' ? { name: 'tokenize', done: 31_457_280, total: 52_428_800 } : null,
        metrics: {},
        device: live ? `cpu${id % 2}` : null,
        pid: live ? 4200 + id : null,
        priority: 0,
        archived: false,
        baseline: plan.baseline,
        is_baseline: isBaseline(runPlan.name, plan.baseline),
        tags: plan.tags,
        seed: runPlan.seed ?? 0,
        total_parameters: runPlan.parameters,
        active_parameters: 2.93e6,
        flops_per_token: 1.76e7,
        tokens: MAX_STEPS * 4096,
        queued_at: iso(0),
        started_at: started,
        finished_at: live || queued || runPlan.state === 'paused' ? null : iso(60 + id * 95 + step * 0.11),
        runtime_s: started ? step * 0.11 + 2.5 : null,
        varied: runPlan.varied,
      };
      world.runs.set(id, run);
      refreshMetrics(world, id);
      world.history.set(id, historyOf(run));
    }
  }
  return world;
}

function historyOf(run: Run): Schemas['StateChange'][] {
  const events: Schemas['StateChange'][] = [{ time: run.queued_at as string, from: null, to: 'queued', reason: '' }];
  if (run.started_at) {
    const at = Date.parse(run.started_at);
    events.push({ time: run.started_at, from: 'queued', to: 'starting', reason: 'device cpu0 was free' });
    if (run.state !== 'starting') events.push({ time: new Date(at + 2500).toISOString(), from: 'starting', to: 'running', reason: '' });
  }
  if (run.finished_at) events.push({ time: run.finished_at, from: 'running', to: run.state, reason: run.reason });
  return events;
}

/** Every metric name of a run, with the formula of its value at a step; null where it is not logged. */
function metricFormulas(id: number, plan: Plan): Map<string, (step: number) => number | null> {
  const loss = (step: number, salt: number, wobble: number) => {
    if (plan.divergesAt !== undefined && step >= plan.divergesAt) return NaN;
    const blowUp = plan.divergesAt !== undefined ? 2.5 * Math.exp((step - plan.divergesAt) / 12) : 0;
    return plan.loss + 3.6 * Math.exp(-step / 45) + 1.9 * Math.exp(-step / 190) + blowUp + wobble * (noise(id, step, salt) - 0.5);
  };
  const atEval = (value: (step: number) => number) => (step: number) => (step > 0 && step % EVAL_EVERY === 0 ? value(step) : null);
  const evalLoss = (step: number) => loss(step, 2, 0.01) + 0.03;
  const formulas = new Map<string, (step: number) => number | null>([
    ['train/loss', (step) => loss(step, 1, 0.28)],
    ['eval/loss', atEval(evalLoss)],
    ['eval/loss_hf', atEval((step) => (evalLoss(step) * 127) / 128)],
    ['eval/perplexity', atEval((step) => Math.exp(evalLoss(step)))],
    ['train/lr', (step) => 8e-4 * Math.min(1, step / 30) * 0.5 * (1 + Math.cos((Math.PI * step) / MAX_STEPS))],
    ['train/grad_norm', (step) => 0.6 + 3 * Math.exp(-step / 40) + 0.5 * noise(id, step, 3)],
    ['train/epoch', (step) => (2 * step) / MAX_STEPS],
    ['num_input_tokens_seen', (step) => step * 4096],
    ['perf/tokens_per_sec', (step) => 31_000 / (1 + 0.16 * Math.log2(plan.experts * plan.active)) + 1800 * noise(id, step, 4)],
    ['perf/step_ms', (step) => 108 * (1 + 0.16 * Math.log2(plan.experts * plan.active)) + 9 * noise(id, step, 5)],
    ['perf/peak_memory_mb', (step) => 780 + Math.min(step, 40) * 4],
  ]);
  if (plan.balance !== 'dense') {
    const spreadAt = (step: number, layer: number) => measures(loadAt(id, plan, step)[layer] as number[][]);
    const mean = (step: number, pick: (m: ReturnType<typeof measures>) => number) =>
      Array.from({ length: LAYERS }, (_, l) => pick(spreadAt(step, l))).reduce((a, b) => a + b, 0) / LAYERS;
    formulas.set('router/maxvio', (step) => mean(step, (m) => m.maxvio));
    formulas.set('router/cv', (step) => mean(step, (m) => m.cv));
    formulas.set('router/dead', (step) => mean(step, (m) => m.dead * plan.experts));
    formulas.set('router/entropy_per_token', (step) => Math.log(plan.experts) * (0.25 + 0.7 * Math.exp(-step / 150)));
    formulas.set('router/entropy_distribution_normalized', (step) => mean(step, (m) => m.entropy));
    formulas.set('router/logit_rms', (step) => 0.4 + 1.8 * (1 - Math.exp(-step / 160)));
    for (let l = 0; l < LAYERS; ++l) {
      formulas.set(`router/layer_${l}_maxvio`, (step) => spreadAt(step, l).maxvio);
      formulas.set(`router/layer_${l}_cv`, (step) => spreadAt(step, l).cv);
    }
    if ('moe.capacity_factor' in plan.varied) formulas.set('train/token_drop_ratio', (step) => 0.02 + 0.2 * Math.exp(-step / 60));
    if (plan.balance === 'penalty') formulas.set('train/lb_loss', (step) => 0.01 * (1 + 0.5 * Math.exp(-step / 60)));
  }
  return formulas;
}

/** Shares [layer][slot][expert]. "none" drifts towards a few experts, the others towards an even load. */
function loadAt(id: number, plan: Plan, step: number): number[][][] {
  const skew = { none: 0.5 + 2.4 * (1 - Math.exp(-step / 160)), penalty: 0.25 + 1.1 * Math.exp(-step / 90), biasing: 0.1 + 1.4 * Math.exp(-step / 45), dense: 0 }[plan.balance];
  return Array.from({ length: LAYERS }, (_, layer) =>
    Array.from({ length: plan.active }, (_, slot) => {
      const weights = Array.from({ length: plan.experts }, (_, expert) => {
        const taste = 2 * noise(id, layer, slot, expert, 7) - 1;
        const drift = 0.12 * (noise(id, layer, slot, expert, step, 8) - 0.5);
        // Without balancing the least liked experts starve.
        const starved = plan.balance === 'none' && taste < -0.7 && step > 120;
        return starved ? 0 : Math.exp(skew * taste + drift);
      });
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / sum);
    }),
  );
}

function measures(slots: number[][]) {
  const experts = slots[0]?.length ?? 1;
  const load = Array.from({ length: experts }, (_, e) => slots.reduce((sum, row) => sum + (row[e] ?? 0), 0) / slots.length);
  const fair = 1 / experts;
  const variance = load.reduce((sum, x) => sum + (x - fair) ** 2, 0) / experts;
  const entropy = load.reduce((sum, x) => sum - (x > 0 ? x * Math.log(x) : 0), 0);
  return {
    maxvio: Math.max(...load) / fair - 1,
    cv: Math.sqrt(variance) / fair,
    entropy: entropy / Math.log(experts),
    dead: load.filter((x) => x === 0).length / experts,
  };
}

export const wire = (value: number): Schemas['Number'] => (Number.isFinite(value) ? value : (String(value) as 'NaN'));

/** Latest value of every metric; called whenever a run has moved. */
export function refreshMetrics(world: World, id: number): void {
  const run = world.runs.get(id) as Run;
  const plan = world.plans.get(id) as Plan;
  run.metrics = {};
  if (run.step === 0) return;
  for (const [name, formula] of metricFormulas(id, plan)) {
    if (name.includes('/layer_')) continue; // the daemon leaves families out of the summary too
    for (let step = run.step; step > Math.max(0, run.step - EVAL_EVERY - 1); --step) {
      const value = formula(step);
      if (value === null) continue;
      run.metrics[name] = wire(value);
      break;
    }
  }
}

export function seriesOf(world: World, id: number, names: string[], catalog: Schemas['MetricInfo'][]): Schemas['Series'][] {
  const run = world.runs.get(id) as Run;
  const formulas = metricFormulas(id, world.plans.get(id) as Plan);
  const stride = Math.max(1, Math.ceil(run.step / 300));
  return (names.length ? names : [...formulas.keys()]).flatMap((name) => {
    const formula = formulas.get(name);
    if (!formula || run.step === 0) return [];
    const points: Schemas['Series']['points'] = [];
    const every = name.startsWith('router/') ? LOAD_EVERY : name.startsWith('eval/') ? 1 : stride;
    for (let step = 1; step <= run.step; ++step) {
      if (step % every !== 0 && step !== 1 && step !== run.step) continue;
      const value = formula(step);
      if (value !== null) points.push([step, wire(value)]);
    }
    const layer = /layer_(\d+)/.exec(name)?.[1];
    const info = catalog.find((entry) => entry.name === name.replace(/layer_\d+/, 'layer_{l}'));
    return [{ key: name, unit: info?.unit ?? '', direction: info?.direction ?? 'none', title: (info?.title ?? name).replace('{l}', layer ?? ''), points, total_points: points.length }];
  });
}

/** null for a dense run or one without a step, which the server answers with 404. */
export function expertLoadOf(world: World, id: number, fromStep: number): Schemas['ExpertLoad'] | null {
  const run = world.runs.get(id) as Run;
  const plan = world.plans.get(id) as Plan;
  if (plan.balance === 'dense' || run.step < LOAD_EVERY) return null;
  const result: Schemas['ExpertLoad'] = {
    layers: Array.from({ length: LAYERS }, (_, l) => l),
    slots: plan.active,
    experts: plan.experts,
    frames: [],
    total_frames: 0,
    derived: { cv: [], maxvio: [], entropy: [], dead: [] },
  };
  for (let step = LOAD_EVERY; step <= run.step; step += LOAD_EVERY) {
    if (step < fromStep) continue;
    const load = loadAt(id, plan, step);
    result.total_frames += 1;
    result.frames.push({ step, load: load.flat(2).map((x) => Number(x.toFixed(6))) });
    const byLayer = load.map(measures);
    for (const name of ['cv', 'maxvio', 'entropy', 'dead'] as const) result.derived[name].push(byLayer.map((m) => wire(m[name])));
  }
  return result;
}

export function configOf(world: World, id: number): Record<string, unknown> {
  const plan = world.plans.get(id) as Plan;
  const config: Record<string, Record<string, unknown> | number> = {
    seed: 0,
    model: { vocab_size: 4096, hidden_size: 128, num_hidden_layers: LAYERS, num_attention_heads: 4, head_dim: 32, intermediate_size: 256, rope_theta: 10000, rms_norm_eps: 1e-6, tie_word_embeddings: false },
    moe: { num_experts: plan.experts, num_active_experts: plan.active, num_shared_experts: plan.shared ?? 0, moe_intermediate_size: null, routing: 'token_choice', score_fn: 'auto', lb_coeff: 0, lb_gamma: plan.balance === 'biasing' ? 0.01 : 0, lb_bias_rule: 'proportional', capacity_factor: 0, drop_policy: 'score' },
    data: { path: ['/data/stories', '/data/code'], val_fraction: 0.05, block_size: 128, bos: true, shuffle: true, seed: 1001 },
    train: { lr: 8e-4, schedule: 'cosine', warmup_ratio: 0.05, max_steps: MAX_STEPS, batch_size: 32, grad_accum: 1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip: 1, precision: 'fp32', log_interval: 1, expert_load_interval: LOAD_EVERY, eval_interval: EVAL_EVERY },
    checkpoint: { keep_last: 2, keep_best: 1 },
    resources: { gpus: null, timeout: 0, max_restarts: 3 },
  };
  for (const [path, value] of Object.entries(plan.varied)) {
    const [section, name] = path.split('.') as [string, string?];
    if (name === undefined) config[section] = value as number;
    else (config[section] as Record<string, unknown>)[name] = value;
  }
  return config;
}
