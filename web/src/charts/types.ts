// Owns what a chart is given and what the registry knows of it.
import type { ComponentType } from 'react';

import type { Run } from '../api/types';

export interface ChartRun {
  run: Run;
  label: string;
  color: string;
  dashed: boolean;
}

export interface ChartProps {
  /** One run on its own page, several on the page of an experiment. */
  runs: ChartRun[];
}

export interface RunChart {
  id: string;
  title: string;
  /** Where it stands: a tab of the run page, or the page of an experiment. */
  places: ('run-metrics' | 'run-load' | 'experiment')[];
  Chart: ComponentType<ChartProps>;
}
