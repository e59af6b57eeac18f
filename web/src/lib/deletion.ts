// Owns which runs may be deleted and what goes with them, in words. Pure. The server decides; it refuses a run that others depend on too.
import type { Experiment, Run } from '../api/types';
import { plural } from './format';
import { isLive } from './states';

export function canDelete(run: Pick<Run, 'state'>): boolean {
  return !isLive(run.state);
}

/** Its runs that other experiments list stay, but which those are the server knows best. */
export function canDeleteExperiment(experiment: Pick<Experiment, 'counts'>): boolean {
  return Object.entries(experiment.counts).every(([state, count]) => count === 0 || !isLive(state));
}

/** `left` of those that were chosen have a worker and stay. */
export function whatGoes(runs: readonly Pick<Run, 'name' | 'aliases'>[], left = 0): string {
  if (runs.length === 0) return 'No run goes with it.';
  const names = runs.slice(0, 5).map(({ name }) => name);
  const more = runs.length - names.length;
  const listed = `${names.join(', ')}${more > 0 ? ` and ${more.toLocaleString('en-US')} more` : ''}`;
  const one = runs.length === 1;
  const text = `${listed}: ${one ? 'its' : 'their'} metrics, checkpoints, journal${one ? '' : 's'} and artifacts go for good; nothing brings them back.`;
  return left > 0 ? `${text} ${plural(left, 'run')} of your choice ${left === 1 ? 'has a worker and stays' : 'have workers and stay'}.` : text;
}
