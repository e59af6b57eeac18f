// Owns what follows from one run being listed in several places: it trains once. Pure.
import type { Run } from '../api/types';

/** Where else this run is listed, and under which name. */
export function otherNames(run: Run): Run['aliases'] {
  return run.aliases.filter((alias) => alias.experiment_id !== run.experiment_id || alias.name !== run.name);
}
