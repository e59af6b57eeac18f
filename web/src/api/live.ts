// Owns the event stream: one connection for the whole page, which patches the query cache so that cells change in place.
// Events are gathered and applied a few times a second, so that hundreds of runs cost one render, not hundreds.
import type { QueryClient } from '@tanstack/react-query';

import { isTerminal } from '../lib/states';
import { API_ROOT } from './client';
import { setConnection } from './connection';
import { isLeft } from './leaving';
import { dropExperiments, dropRuns, patchCache } from './patch';
import { keys } from './queries';
import { withToken } from './token';
import type { DeviceList, Experiment, ExperimentDetail, ExperimentList, Run } from './types';

const FLUSH_MS = 200;
const CURVES_MS = 2500;
const RESULTS_MS = 1500;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 15_000;

/** One of the two: what was deleted. */
interface Gone {
  run?: number;
  experiment?: number;
}

/** Runs `action(key)` at most once in `intervalMs` for each key; the last call is never lost. */
class Throttle<Key> {
  private readonly lastMs = new Map<Key, number>();
  private readonly timers = new Map<Key, ReturnType<typeof setTimeout>>();

  constructor(
    private readonly intervalMs: number,
    private readonly action: (key: Key) => void,
  ) {}

  call(key: Key): void {
    if (this.timers.has(key)) return;
    const waitMs = Math.max(0, (this.lastMs.get(key) ?? -Infinity) + this.intervalMs - Date.now());
    const timer = setTimeout(() => {
      this.timers.delete(key);
      this.lastMs.set(key, Date.now());
      this.action(key);
    }, waitMs);
    this.timers.set(key, timer);
  }

  stop(): void {
    this.timers.forEach((timer) => clearTimeout(timer));
    this.timers.clear();
  }
}

export class LiveUpdates {
  private source: EventSource | null = null;
  private retryTimer: ReturnType<typeof setTimeout> | null = null;
  private flushTimer: ReturnType<typeof setTimeout> | null = null;
  private retryMs = RETRY_MIN_MS;
  private wasLost = false;
  private readonly runs = new Map<number, Run>();
  private readonly experiments = new Map<number, Experiment>();
  private readonly goneRuns = new Set<number>();
  private readonly goneExperiments = new Set<number>();
  private devices: DeviceList | null = null;
  private readonly lastSeen = new Map<number, { state: string; attempt: number; archived: boolean; evalLoss: unknown }>();
  private readonly curves: Throttle<number>;
  private readonly results: Throttle<number>;
  private readonly listings: Throttle<string>;

  constructor(private readonly client: QueryClient) {
    this.curves = new Throttle(CURVES_MS, (id) => {
      void client.invalidateQueries({ queryKey: keys.metrics(id) });
      void client.invalidateQueries({ queryKey: keys.load(id) });
    });
    this.results = new Throttle(RESULTS_MS, (id) => {
      for (const key of [keys.results(id), keys.statistics(id), keys.lrSweep(id)]) void client.invalidateQueries({ queryKey: key });
    });
    this.listings = new Throttle(RESULTS_MS, (name) => void client.invalidateQueries({ queryKey: [name] }));
  }

  start(): void {
    this.stopSource();
    const source = new EventSource(withToken(`${API_ROOT}/stream`));
    this.source = source;
    source.onopen = () => {
      this.retryMs = RETRY_MIN_MS;
      setConnection('open');
      // The stream replays nothing, so whatever happened while it was away is read again.
      // Expert loads are normally appended to; a new attempt may have rewound them unseen, so they start over.
      if (this.wasLost) {
        void this.client.resetQueries({ queryKey: ['load'] });
        void this.client.invalidateQueries();
      }
      this.wasLost = false;
    };
    source.onerror = () => this.lost();
    source.addEventListener('run', (event) => this.gather(event, (run: Run) => this.runs.set(run.id, run)));
    source.addEventListener('experiment', (event) => this.gather(event, (e: Experiment) => this.experiments.set(e.id, e)));
    source.addEventListener('gone', (event) => this.gather(event, (gone: Gone) => this.keepGone(gone)));
    source.addEventListener('devices', (event) => this.gather(event, (list: DeviceList) => (this.devices = list)));
  }

  /** Connects at once instead of waiting for the next try. */
  retryNow(): void {
    this.retryMs = RETRY_MIN_MS;
    this.start();
  }

  stop(): void {
    this.stopSource();
    if (this.flushTimer) clearTimeout(this.flushTimer);
    this.flushTimer = null;
    this.curves.stop();
    this.results.stop();
    this.listings.stop();
  }

  private stopSource(): void {
    this.source?.close();
    this.source = null;
    if (this.retryTimer) clearTimeout(this.retryTimer);
    this.retryTimer = null;
  }

  // The browser's own reconnection gives up after an HTTP error, and its pace cannot be set: we reconnect ourselves.
  private lost(): void {
    this.stopSource();
    this.wasLost = true;
    setConnection('lost');
    this.retryTimer = setTimeout(() => this.start(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  private gather<T>(event: MessageEvent<string>, keep: (value: T) => void): void {
    keep(JSON.parse(event.data) as T);
    this.flushTimer ??= setTimeout(() => {
      this.flushTimer = null;
      this.flush();
    }, FLUSH_MS);
  }

  private flush(): void {
    if (this.experiments.size) this.applyExperiments();
    if (this.runs.size) this.applyRuns();
    if (this.goneRuns.size || this.goneExperiments.size) this.applyGone();
    if (this.devices) this.client.setQueryData(keys.devices, this.devices);
    this.devices = null;
  }

  private applyExperiments(): void {
    const fresh = new Map(this.experiments);
    this.experiments.clear();
    let unknown = false;
    this.client.setQueriesData<ExperimentList>({ queryKey: keys.experiments }, (list) => {
      if (!list) return list;
      const known = new Map(list.experiments.map((e) => [e.id, e.archived]));
      unknown ||= [...fresh].some(([id, e]) => known.get(id) !== e.archived);
      return { ...list, experiments: list.experiments.map((e) => ({ ...e, ...fresh.get(e.id) })) };
    });
    if (unknown) this.listings.call('experiments');
    for (const [id, experiment] of fresh) {
      const shown = this.client.getQueryData<ExperimentDetail>(keys.experiment(id));
      if (!shown) continue;
      if (shown.total !== experiment.total) this.results.call(id);
      this.client.setQueryData<ExperimentDetail>(keys.experiment(id), { ...shown, ...experiment });
    }
  }

  private applyRuns(): void {
    const fresh = new Map(this.runs);
    this.runs.clear();
    patchCache(this.client, fresh);
    for (const [id, run] of fresh) this.noteChange(id, run);
  }

  private keepGone({ run, experiment }: Gone): void {
    if (run !== undefined) {
      this.runs.delete(run);
      this.goneRuns.add(run);
    }
    if (experiment !== undefined) {
      this.experiments.delete(experiment);
      this.goneExperiments.add(experiment);
    }
  }

  private applyGone(): void {
    dropRuns(this.client, new Set(this.goneRuns));
    dropExperiments(this.client, new Set(this.goneExperiments));
    // The page of one of them asks again, and is told that it is gone.
    const pages = [...[...this.goneRuns].map(keys.run), ...[...this.goneExperiments].map(keys.experiment)];
    for (const queryKey of pages.filter((key) => !isLeft(key))) void this.client.resetQueries({ queryKey });
    for (const id of this.goneRuns) this.lastSeen.delete(id);
    // Totals and later pages hang on what is gone too. Tables of results follow the event of their experiment.
    for (const name of ['runs', 'health', 'queue']) this.listings.call(name);
    this.goneRuns.clear();
    this.goneExperiments.clear();
  }

  private noteChange(id: number, run: Run): void {
    const before = this.lastSeen.get(id);
    const evalLoss = run.metrics['eval/loss'];
    const moved = !before || before.state !== run.state || before.attempt !== run.attempt || before.archived !== run.archived;
    this.lastSeen.set(id, { state: run.state, attempt: run.attempt, archived: run.archived, evalLoss });

    if (before && before.attempt !== run.attempt) {
      // A new attempt rewinds to its checkpoint: the tail of the old curves is superseded.
      void this.client.resetQueries({ queryKey: keys.load(id) });
    }
    this.curves.call(id);
    if (moved) {
      void this.client.invalidateQueries({ queryKey: keys.run(id) });
      this.listings.call('runs');
      this.listings.call('members');
      this.listings.call('health');
      this.listings.call('queue');
    }
    if (moved || before.evalLoss !== evalLoss || isTerminal(run.state)) {
      const experiments = new Set([run.experiment_id, ...run.aliases.map((alias) => alias.experiment_id)]);
      experiments.forEach((experiment) => {
        if (experiment !== null) this.results.call(experiment);
      });
    }
  }
}
