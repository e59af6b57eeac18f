// A stand-in for the daemon, for developing and testing the page without one: it serves made-up fixtures (fixtures.ts) over the
// same addresses. It trains nothing. `--auto` moves the running runs by itself; otherwise only POST /__mock/tick does, so that
// tests decide when something happens. Run with: node tests/web/mock/server.ts [--port N] [--auto]
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { components } from '../../../web/src/api/schema.d.ts';
import { configOf, expertLoadOf, isBaseline, makeWorld, MAX_STEPS, refreshMetrics, seriesOf, START, wire, type World } from './fixtures.ts';
import { devicesOf } from './devices.ts';
import { lrSweepOf } from './lr_sweep.ts';
import { queueOf, setMode, waitingOf } from './queue.ts';
import { statisticsOf } from './statistics.ts';
import { addWebhook, testWebhook } from './webhooks.ts';
import { applyVerb, isEnded, isLive, moveTo, VERB_WORDS } from './verbs.ts';

type Schemas = components['schemas'];
type Run = Schemas['Run'];

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '../../../web/dist');
const portFlag = process.argv.indexOf('--port');
const port = portFlag > 0 ? Number(process.argv[portFlag + 1]) : 8651;
const auto = process.argv.includes('--auto');

let world: World = makeWorld();
const streams = new Set<ServerResponse>();
const catalog = readCatalog();

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: Schemas['Problem'][];
  constructor(status: number, code: string, message: string, details: Schemas['Problem'][] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** The real catalogue, read from its C++ table, so that the page is tried with true names, units and groups. */
function readCatalog(): Schemas['MetricInfo'][] {
  const table = readFileSync(join(here, '../../../core/metric_catalog.cpp'), 'utf8');
  const joined = table.replace(/"\s+"/g, ''); // long strings are written in pieces
  const entry = /\{"([^"]+)",\s*"([^"]*)",\s*(down|up|none),\s*"([^"]+)",\s*"([^"]+)",\s*"([^"]*)"\}/g;
  return [...joined.matchAll(entry)].map(([, name, unit, direction, title, group, doc]) => ({ name, unit, direction, title, group, doc }) as Schemas['MetricInfo']);
}

/** As the daemon shows it: why it waits is true now or not at all. */
function seen(run: Run): Run {
  return { ...run, waiting: waitingOf(world, run) };
}

function memberRun(experimentId: number, id: number, name: string): Run {
  const member = world.members.find((m) => m.experimentId === experimentId && m.run === id && m.name === name);
  const run = world.runs.get(id);
  const experiment = world.experiments.find((e) => e.id === experimentId);
  if (!member || !run || !experiment) throw new Error('broken fixture');
  const { baseline } = experiment.plan;
  return { ...seen(run), name, experiment: experiment.plan.name, experiment_id: experimentId, baseline, is_baseline: isBaseline(name, baseline), varied: member.varied };
}

function membersOf(experimentId: number): Run[] {
  return world.members.filter((m) => m.experimentId === experimentId).map((m) => memberRun(experimentId, m.run, m.name));
}

function experimentView(id: number): Schemas['ExperimentDetail'] {
  const found = world.experiments.find((e) => e.id === id);
  if (!found) throw new Refusal(404, 'not_found', `There is no experiment ${id}; see moelab ls --experiments`);
  const runs = membersOf(id);
  const counts: Record<string, number> = {};
  for (const run of runs) counts[run.state] = (counts[run.state] ?? 0) + 1;
  const live = runs.some((run) => ['running', 'starting', 'stopping'].includes(run.state));
  const waiting = (counts['queued'] ?? 0) > 0;
  const state = live ? 'running' : waiting ? 'queued' : (counts['paused'] ?? 0) > 0 ? 'paused' : counts['completed'] === runs.length ? 'completed' : counts['cancelled'] === runs.length ? 'cancelled' : 'failed';
  const left = runs.filter((run) => ['running', 'starting', 'queued'].includes(run.state)).reduce((sum, run) => sum + (MAX_STEPS - run.step) * 0.11, 0);
  return {
    id,
    name: found.plan.name,
    matrix: 'moe-ablations',
    profile: 'demo',
    notes: found.plan.notes,
    tags: found.plan.tags,
    baseline: found.plan.baseline,
    created_at: new Date(START).toISOString(),
    state,
    progress: runs.reduce((sum, run) => sum + (['failed', 'out_of_memory', 'lost', 'cancelled'].includes(run.state) ? 1 : run.progress), 0) / Math.max(1, runs.length),
    counts,
    total: runs.length,
    archived: runs.length > 0 && runs.every((run) => run.archived),
    eta_s: left > 0 ? left : null,
    source: 'experiments.yaml',
  };
}

function resultsOf(id: number): Schemas['ResultTable'] {
  const { baseline } = experimentView(id);
  const runs = membersOf(id);
  const base = runs.find((run) => run.is_baseline)?.metrics['eval/loss'];
  return {
    baseline,
    metric: 'eval/loss',
    rows: runs.map((run) => {
      const own = run.metrics['eval/loss'];
      const known = own !== undefined && base !== undefined;
      const delta = Number(own) - Number(base);
      return {
        name: run.name,
        run_id: run.id,
        state: run.state,
        seed: run.seed,
        is_baseline: run.is_baseline,
        values: run.metrics,
        delta: known ? wire(delta) : null,
        delta_pct: known ? wire((100 * delta) / Number(base)) : null,
        runtime_s: run.runtime_s,
        total_parameters: run.total_parameters,
        active_parameters: run.active_parameters,
        varied: run.varied,
      };
    }),
  };
}

function setDevice(id: string, verb: string, reason: string): Schemas['Device'] {
  if (!devicesOf(world).devices.some((device) => device.id === id)) throw new Refusal(404, 'not_found', `There is no device ${id}; moelab gpus lists what there is`);
  world.disabled.set(id, verb === 'disable' ? reason : null);
  const list = devicesOf(world);
  broadcast('devices', list);
  return list.devices.find((device) => device.id === id) as Schemas['Device'];
}

function webhookOr404(id: number): Schemas['Webhook'] {
  const hook = world.webhooks.get(id);
  if (!hook) throw new Refusal(404, 'not_found', `There is no webhook ${id}`);
  return hook;
}

function runOr404(id: number): Run {
  const run = world.runs.get(id);
  if (!run) throw new Refusal(404, 'not_found', `There is no run ${id}; moelab ls lists what there is`);
  return run;
}

function detail(id: number): Schemas['RunDetail'] {
  const run = runOr404(id);
  const checkpoints = [200, 400, 600].filter((step) => step <= run.step).map((step, i, all) => ({ step, path: `checkpoints/step_${String(step).padStart(8, '0')}`, best: i === all.length - 1 }));
  return {
    ...seen(run),
    config: configOf(world, id),
    notes: run.name === 'a0_no_lb' ? 'Published by moe-lab at the paper size: eval loss 1.1270 after 2.86 hours.' : '',
    run_dir: `/var/lib/moelab/runs/${id}`,
    events: world.history.get(id) ?? [],
    alerts: run.name === 'a0_no_lb' ? [{ time: run.started_at ?? '', attempt: 1, step: 180, code: 'expert_underused', message: 'layer 2: expert 5 had no token for 100 steps' }] : [],
    artifacts: checkpoints.length ? [{ name: 'expert_load.gif', kind: 'image', path: 'artifacts/expert_load.gif', bytes: 482_133 }, { name: 'metrics.jsonl', kind: 'metrics', path: 'metrics.jsonl', bytes: 188_201 }] : [],
    checkpoints,
    provenance: { host: 'bench-2', code_version: '0.1.0+c25ee62', libtorch: '2.11.0', threads: 8, device_name: 'cpu' },
  };
}

function logLines(run: Run): string[] {
  const lines = [`[2026-11-22 09:01:12.004] [info] run ${run.id} ${run.name}, attempt ${run.attempt}, device ${run.device ?? 'cpu0'}, 8 threads`, '[2026-11-22 09:01:12.310] [info] tokens: 1,204,224 training, 63,488 validation (cache hit)'];
  for (let step = 25; step <= run.step; step += 25) {
    lines.push(`[2026-11-22 09:0${1 + Math.floor(step / 100)}:${String((step * 7) % 60).padStart(2, '0')}.120] [info] step ${step}/${MAX_STEPS} train/loss ${(2.9 + 5 * Math.exp(-step / 60)).toFixed(4)}`);
    if (step === 175) lines.push('[2026-11-22 09:02:33.120] [warning] layer 2: expert 5 takes 2.6 times its fair share');
  }
  if (run.state === 'failed') lines.push(`[2026-11-22 09:04:02.551] [error] ${run.reason}`);
  return lines;
}

const SORT_VALUES: Record<string, (run: Run) => number | string> = { id: (r) => r.id, name: (r) => r.name, state: (r) => r.state };

function listRuns(query: URLSearchParams): Schemas['RunList'] {
  const experiment = query.get('experiment');
  let runs = experiment ? membersOf(Number(experiment)) : [...world.runs.values()].map(seen);
  if (query.get('archived') !== 'true') runs = runs.filter((run) => !run.archived);
  const states = query.get('state')?.split(',').filter(Boolean) ?? [];
  const search = query.get('search')?.toLowerCase() ?? '';
  if (states.length) runs = runs.filter((run) => states.includes(run.state));
  if (search) runs = runs.filter((run) => `${run.name} ${run.experiment}`.toLowerCase().includes(search));
  const sort = query.get('sort') ?? '-id';
  const down = sort.startsWith('-');
  const by = sort.replace(/^-/, '');
  const value = (run: Run) => (by.startsWith('metrics.') ? Number(run.metrics[by.slice(8)] ?? NaN) : (SORT_VALUES[by] ?? ((r: Run) => r.id))(run));
  runs = [...runs].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const lastX = typeof x === 'number' && Number.isNaN(x);
    const lastY = typeof y === 'number' && Number.isNaN(y);
    if (lastX || lastY) return Number(lastX) - Number(lastY);
    return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  });
  const limit = Number(query.get('limit') ?? 100);
  const start = Number(query.get('cursor') ?? 0);
  const next = start + limit;
  return { runs: runs.slice(start, next), total: runs.length, next_cursor: next < runs.length ? String(next) : null };
}

function broadcast(event: string, data: unknown): void {
  for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function announce(run: Run): void {
  broadcast('run', seen(run));
  for (const alias of run.aliases) announceExperiment(alias.experiment_id);
}

function announceExperiment(id: number): void {
  const { source: _source, ...experiment } = experimentView(id);
  broadcast('experiment', experiment);
}

/** Every running run goes on by some steps. */
function tick(steps: number): void {
  for (const run of world.runs.values()) {
    if (run.state !== 'running') continue;
    run.step = Math.min(MAX_STEPS, run.step + steps);
    run.progress = run.step / MAX_STEPS;
    run.runtime_s = run.step * 0.11 + 2.5;
    run.eta_s = (MAX_STEPS - run.step) * 0.11;
    refreshMetrics(world, run.id);
    if (run.step === MAX_STEPS) moveTo(world, run, 'completed', '');
    announce(run);
  }
}

function act(verb: string, id: number): Run {
  const run = runOr404(id);
  const why = applyVerb(world, run, verb);
  if (why !== null) throw new Refusal(409, 'conflict', why);
  announce(run);
  return seen(run);
}

function actOnAll(verb: string, ids: number[]): Schemas['VerbResult'] {
  const result: Schemas['VerbResult'] = { runs: [], skipped: [] };
  for (const run of ids.map(runOr404)) {
    const reason = applyVerb(world, run, verb);
    if (reason !== null) {
      result.skipped.push({ id: run.id, reason });
      continue;
    }
    announce(run);
    result.runs.push(seen(run));
  }
  return result;
}

/** Runs that other experiments list stay when an experiment goes. */
function remove(ids: number[], experiment?: number): Schemas['Deleted'] {
  const busy = ids.map(runOr404).find(isLive);
  if (busy) throw new Refusal(409, 'conflict', `run ${busy.id} (${busy.name}) is ${busy.state}: cancel it before you delete it`);
  const lists = (id: number) => [...new Set(world.members.filter((member) => member.run === id).map((member) => member.experimentId))];
  const kept = experiment === undefined ? [] : ids.filter((id) => lists(id).length > 1);
  const deleted = ids.filter((id) => !kept.includes(id));
  const touched = new Set(deleted.flatMap(lists));
  world.members = world.members.filter((member) => !deleted.includes(member.run) && member.experimentId !== experiment);
  for (const id of deleted) {
    world.runs.delete(id);
    broadcast('gone', { run: id });
  }
  for (const run of world.runs.values()) run.aliases = run.aliases.filter((alias) => alias.experiment_id !== experiment);
  if (experiment !== undefined) {
    world.experiments = world.experiments.filter(({ id }) => id !== experiment);
    broadcast('gone', { experiment });
  }
  for (const id of touched) if (id !== experiment) announceExperiment(id);
  return { deleted, kept };
}

function prioritise(id: number, priority: unknown): Run {
  const run = runOr404(id);
  if (!Number.isInteger(priority) || Math.abs(priority as number) > 1000) throw new Refusal(400, 'usage', 'priority must be a whole number from -1000 to 1000');
  if (isEnded(run)) throw new Refusal(409, 'conflict', `run ${id} is ${run.state}: it has ended`);
  run.priority = priority as number;
  announce(run);
  return seen(run);
}

function force(id: number, device: string | undefined): Run {
  const run = runOr404(id);
  if (run.state !== 'queued') throw new Refusal(409, 'conflict', `run ${id} is ${run.state}: only a queued run can be forced`);
  if (device !== undefined && !devicesOf(world).devices.some((known) => known.id === device)) throw new Refusal(404, 'not_found', `There is no device ${device}`);
  world.forced.set(id, device ?? 'any GPU');
  announce(run);
  return seen(run);
}

function queueVerb(verb: string, reason: string): Schemas['Queue'] {
  for (const run of setMode(world, verb, reason)) announce(run);
  return { ...queueOf(world, 0), runs: [] };
}

function submit(body: Schemas['Submission']): [number, unknown] {
  const bad = body.source.split('\n').findIndex((line) => line.includes('num_expert:'));
  if (bad >= 0) throw new Refusal(422, 'config', 'experiments.yaml has 1 problem', [{ path: 'moe.num_expert', line: bad + 1, message: 'unknown knob; did you mean moe.num_experts?' }]);
  const runs = [...world.runs.values()].slice(2, 5).map((run, i) => ({ name: run.name, experiment: run.experiment, key: run.key, state: i === 0 ? run.state : null, total_parameters: run.total_parameters, active_parameters: run.active_parameters, flops_per_token: run.flops_per_token, tokens: run.tokens, config: {} }));
  if (body.dry_run) return [200, { runs, totals: { runs: runs.length } }];
  return [201, { experiments: [experimentView(2)], created: 2, reused: 1, runs: [] }];
}

const ONE_PIXEL_GIF = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}');
}

function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write(': mock\n\n');
}

type Handler = (id: number, query: URLSearchParams, request: IncomingMessage, response: ServerResponse, verb: string, name: string) => unknown;

const ROUTES: [method: string, path: RegExp, handler: Handler][] = [
  ['GET', /^\/health$/, () => {
    const runs: Record<string, number> = {};
    for (const run of world.runs.values()) runs[run.state] = (runs[run.state] ?? 0) + 1;
    const list = devicesOf(world).devices;
    return { status: 'ok', version: 'mock', uptime_s: process.uptime(), home: '/var/lib/moelab', runs, devices: { total: list.length, free: list.filter((d) => d.state === 'free').length } };
  }],
  ['GET', /^\/experiments$/, (_id, query) => {
    const all = world.experiments.map((e) => experimentView(e.id)).reverse();
    const experiments = query.get('archived') === 'true' ? all : all.filter((e) => !e.archived);
    return { experiments, total: experiments.length };
  }],
  ['POST', /^\/experiments$/, async (_id, _query, request, response) => {
    const [status, answer] = submit((await bodyOf(request)) as Schemas['Submission']);
    response.statusCode = status;
    return answer;
  }],
  ['GET', /^\/experiments\/(\d+)$/, (id) => experimentView(id)],
  ['GET', /^\/experiments\/(\d+)\/results$/, (id) => resultsOf(id)],
  ['GET', /^\/experiments\/(\d+)\/statistics$/, (id, query) => {
    const metric = query.get('metric') ?? 'eval/loss';
    const runs = membersOf(id);
    if (!runs.some((run) => metric in run.metrics)) throw new Refusal(404, 'not_found', `No run of this experiment has reported ${metric}`);
    return statisticsOf(runs, metric, experimentView(id).baseline, catalog.find((entry) => entry.name === metric));
  }],
  ['GET', /^\/experiments\/(\d+)\/lr-sweep$/, (id) => {
    const sweep = lrSweepOf(world, id);
    if (!sweep) throw new Refusal(404, 'not_found', `There is no learning-rate sweep of experiment ${id}`);
    return sweep;
  }],
  ['POST', new RegExp(`^/experiments/(\\d+)/(${VERB_WORDS})$`), (id, _query, _request, _response, verb) => actOnAll(verb, [...new Set(membersOf(id).map((run) => run.id))])],
  ['POST', /^\/experiments\/(\d+)\/delete$/, (id) => remove([...new Set(membersOf(id).map((run) => run.id))], id)],
  ['POST', /^\/runs\/(\d+)\/delete$/, (id) => remove([id])],
  ['POST', /^\/runs\/()delete$/, async (_id, _query, request) => remove(((await bodyOf(request)) as Schemas['RunIds']).ids)],
  ['GET', /^\/runs$/, (_id, query) => listRuns(query)],
  ['GET', /^\/runs\/(\d+)$/, (id) => detail(id)],
  ['POST', new RegExp(`^/runs/(\\d+)/(${VERB_WORDS})$`), (id, _query, _request, _response, verb) => act(verb, id)],
  ['POST', new RegExp(`^/runs/()(${VERB_WORDS})$`), async (_id, _query, request, _response, verb) => actOnAll(verb, ((await bodyOf(request)) as Schemas['RunIds']).ids)],
  ['POST', /^\/runs\/(\d+)\/priority$/, async (id, _query, request) => prioritise(id, ((await bodyOf(request)) as { priority?: unknown }).priority)],
  ['POST', /^\/runs\/(\d+)\/force$/, async (id, _query, request) => force(id, ((await bodyOf(request)) as { device?: string }).device)],
  ['GET', /^\/queue$/, (_id, query) => {
    const queue = queueOf(world, Number(query.get('limit') ?? 100));
    return { ...queue, runs: queue.runs.map(seen) };
  }],
  ['POST', /^\/queue\/()(hold|drain|release)$/, async (_id, _query, request, _response, verb) => queueVerb(verb, ((await bodyOf(request)) as Schemas['QueueReason']).reason ?? '')],
  ['GET', /^\/runs\/(\d+)\/metrics$/, (id, query) => {
    runOr404(id);
    const most = Number(query.get('max_points') ?? 500);
    if (most > 0 && most < 4) throw new Refusal(400, 'usage', 'max_points must be 0 (all) or at least 4');
    return { series: seriesOf(world, id, query.get('keys')?.split(',').filter(Boolean) ?? [], catalog) };
  }],
  ['GET', /^\/runs\/(\d+)\/expert-load$/, (id, query, _request, response) => {
    runOr404(id);
    const load = expertLoadOf(world, id, Number(query.get('from_step') ?? 0));
    if (!load) throw new Refusal(404, 'not_found', `Run ${id} has no expert load: it is dense or has not logged a step`);
    if ((query.get('format') ?? 'json') === 'json') return load;
    response.writeHead(200, { 'Content-Type': 'image/gif' }).end(ONE_PIXEL_GIF);
    return undefined;
  }],
  ['GET', /^\/runs\/(\d+)\/logs$/, (id, query, _request, response) => {
    const lines = logLines(runOr404(id)).slice(-Number(query.get('tail') ?? 200));
    if (query.get('follow') !== '1') return { lines };
    openStream(response);
    for (const line of lines) response.write(`data: ${line}\n\n`);
    return undefined;
  }],
  ['GET', /^\/devices$/, () => devicesOf(world)],
  ['POST', /^\/devices\/([a-z]+\d+)\/(enable|disable)$/, async (_id, _query, request, _response, verb, name) => setDevice(name, verb, ((await bodyOf(request)) as Schemas['DisableDevice']).reason ?? '')],
  ['GET', /^\/webhooks$/, () => ({ webhooks: [...world.webhooks.values()] })],
  ['POST', /^\/webhooks$/, async (_id, _query, request, response) => {
    const asked = (await bodyOf(request)) as Schemas['NewWebhook'];
    const added = addWebhook(world.webhooks, asked);
    if (!added) throw new Refusal(400, 'usage', `${asked.url} is not public; \`moelab serve --webhook-private\` allows it`);
    response.statusCode = 201;
    return added;
  }],
  ['POST', /^\/webhooks\/(\d+)\/test$/, (id) => testWebhook(webhookOr404(id))],
  ['POST', /^\/webhooks\/(\d+)\/(enable|disable)$/, (id, _query, _request, _response, verb) => Object.assign(webhookOr404(id), { enabled: verb === 'enable' })],
  ['DELETE', /^\/webhooks\/(\d+)$/, (id) => {
    const hook = webhookOr404(id);
    world.webhooks.delete(id);
    return hook;
  }],
  ['GET', /^\/metrics-catalog$/, () => ({ metrics: catalog })],
  ['GET', /^\/schema$/, () => ({ fields: [{ path: 'moe.num_experts', type: 'integer', default: 1, unit: '', doc: 'Routed experts E of a MoE layer; 1 = dense model' }, { path: 'train.lr', type: 'number', default: 8e-4, unit: '', doc: 'Peak learning rate' }] })],
  ['GET', /^\/stream$/, (_id, _query, request, response) => {
    openStream(response);
    streams.add(response);
    request.on('close', () => streams.delete(response));
    return undefined;
  }],
];

const CONTROLS: Record<string, (query: URLSearchParams) => void> = {
  '/__mock/reset': () => (world = makeWorld()),
  '/__mock/tick': (query) => tick(Number(query.get('steps') ?? 50)),
  '/__mock/drop': () => {
    for (const stream of streams) stream.destroy();
    streams.clear();
  },
};

const TYPES: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };

function serveFile(path: string, response: ServerResponse): void {
  const wanted = join(dist, normalize(path));
  const file = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(dist, 'index.html');
  response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(response);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://mock');
  const control = CONTROLS[url.pathname];
  if (control) {
    control(url.searchParams);
    response.end('ok');
    return;
  }
  if (!url.pathname.startsWith('/api/v1')) return serveFile(url.pathname, response);
  const path = url.pathname.slice('/api/v1'.length);
  try {
    for (const [method, pattern, handler] of ROUTES) {
      const found = method === request.method ? pattern.exec(path) : null;
      if (!found) continue;
      const body = await handler(Number(found[1] ?? 0), url.searchParams, request, response, found[2] ?? '', found[1] ?? '');
      if (body === undefined) return;
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(body));
      return;
    }
    throw new Refusal(404, 'not_found', `There is no ${request.method} ${path}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    response.writeHead(error.status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ error: { code: error.code, message: error.message, details: error.details } }));
  }
}

createServer((request, response) => void answer(request, response)).listen(port, '127.0.0.1', () => {
  console.log(`Mock of the Moelab daemon (fixtures only, trains nothing): http://127.0.0.1:${port}`);
});
if (auto) setInterval(() => tick(3), 700);
