// Owns the words around statistics: what was left out, how large the noise is, and whether a difference is good. Pure; the arithmetic is
// the server's.
import type { Exclusions, FamilyStatistics, Statistics } from '../api/types';
import { plural, significant } from './format';
import { lookOf } from './states';

/** "1 failed, 1 diverged"; empty when nothing was. */
export function exclusionWords({ not_completed, diverged, without_metric, archived }: Exclusions): string {
  const parts = Object.entries(not_completed)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${lookOf(state).label.toLowerCase()}`);
  if (diverged > 0) parts.push(`${diverged} diverged`);
  if (without_metric > 0) parts.push(`${without_metric} without the metric`);
  if (archived > 0) parts.push(`${archived} archived`);
  return parts.join(', ');
}

/** Two sentences: what seeds alone do to the metric, and what repeating the very same run does. */
export function noiseWords({ noise, unit }: Statistics): string {
  const { seeds, repeats } = noise;
  const size = (sd: number) => `${significant(sd, 3)}${unit ? ` ${unit}` : ''}`;
  const first =
    seeds.sd === null
      ? 'Noise floor: not known, since no family has two completed seeds.'
      : `Noise floor: the seed alone moves it by a standard deviation of ${size(seeds.sd)} (${plural(seeds.groups, 'family', 'families')}, ${plural(seeds.degrees, 'degree')} of freedom).`;
  return repeats.sd === null ? first : `${first} The same run trained again: ${size(repeats.sd)} (${plural(repeats.groups, 'run')}).`;
}

export type Tone = 'good' | 'bad' | 'none';

/** Only a difference that can be told from noise has a colour. */
export function toneOf(family: FamilyStatistics, direction: Statistics['direction']): Tone {
  if (family.verdict !== 'distinguishable' || !family.delta || direction === 'none') return 'none';
  return family.delta.mean < 0 === (direction === 'down') ? 'good' : 'bad';
}

/** Seeds are needed to say anything; with one run a family the run table has said it all. */
export function hasSomethingToSay(statistics: Statistics): boolean {
  return statistics.families.some((family) => family.members > 1) || statistics.noise.repeats.sd !== null;
}
