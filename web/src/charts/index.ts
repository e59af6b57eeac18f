// The registry of charts: one line each. Pages draw whatever is listed for their place, in this order.
import { BalanceByLayer } from './balance_by_layer';
import { ExpertLoadMap } from './expert_load_map';
import { LoadOverTime } from './load_over_time';
import { LossCurves } from './loss_curves';
import { MetricGroups } from './metric_groups';
import type { RunChart } from './types';

export const CHARTS: RunChart[] = [
  { id: 'loss', title: 'Loss curves', places: ['run-metrics', 'experiment'], Chart: LossCurves },
  { id: 'expert-load', title: 'Expert load', places: ['run-load', 'experiment'], Chart: ExpertLoadMap },
  { id: 'load-over-time', title: 'One layer over time', places: ['run-load'], Chart: LoadOverTime },
  { id: 'balance', title: 'Balance by layer', places: ['run-load'], Chart: BalanceByLayer },
  { id: 'metrics', title: 'Other metrics', places: ['run-metrics', 'experiment'], Chart: MetricGroups },
];
