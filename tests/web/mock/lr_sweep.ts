// A made-up learning-rate sweep of the experiment with seeds: a valley each, and what was too fast diverged.
import type { components } from '../../../web/src/api/schema.d.ts';
import type { World } from './fixtures.ts';

type Schemas = components['schemas'];
type Variant = Schemas['LrSweep']['variants'][number];

const RATES = [1e-5, 3e-5, 5e-5, 8e-5, 1e-4, 3e-4, 5e-4, 8e-4, 1e-3, 3e-3, 5e-3, 8e-3];

function variant(name: string, valley: number, breaksAt: number): Variant {
  const rates = RATES.map((rate, i): Variant['rates'][number] => {
    const diverged = rate >= breaksAt;
    const loss = 3.4 + 0.9 * Math.log10(rate / valley) ** 2;
    return { rate, run_id: 100 + i, state: diverged ? 'failed' : 'completed', step: diverged ? 61 : 150, last_loss: diverged ? 'NaN' : loss, smoothed_loss: diverged ? null : loss, last_grad_norm: diverged ? null : 0.8, diverged, note: diverged ? 'diverged' : '' };
  });
  const best = [...rates].filter((rate) => !rate.diverged).sort((a, b) => Number(a.last_loss) - Number(b.last_loss))[0];
  return { name, complete: true, best: best?.rate ?? null, refusal: null, warnings: [], rates };
}

/** Null where the daemon answers 404. */
export function lrSweepOf(world: World, id: number): Schemas['LrSweep'] | null {
  const experiment = world.experiments.find((known) => known.id === id)?.plan.name;
  const sweep = world.experiments.find((known) => known.plan.name === 'f_seeds.lr_sweep');
  if (!sweep || (experiment !== 'f_seeds' && experiment !== 'f_seeds.lr_sweep')) return null;
  const unfinished = variant('f4_wide', 5e-4, 5e-3);
  unfinished.rates = unfinished.rates.map((rate) => (rate.rate > 1e-3 ? { ...rate, state: 'queued', step: 0, last_loss: null, smoothed_loss: null, diverged: false, note: 'queued' } : rate));
  return {
    experiment: 'f_seeds',
    experiment_id: sweep.id,
    steps: 150,
    warmup: 30,
    variants: [variant('f0_plain', 6e-4, 5e-3), { ...variant('f2_shared', 1e-3, 8e-3), warnings: ['the mean of the last ten losses prefers 0.0008'] }, { ...unfinished, complete: false, best: null, refusal: '3 of 12 rates have not ended' }],
  };
}
