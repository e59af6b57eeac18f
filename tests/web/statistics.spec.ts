// Statistics of families of seeds, and the learning-rate sweep. Mock only.
import { expect, expectAccessible, isReal, test } from './support';

test.skip(isReal, 'these tests rely on the made-up study of the mock');

test('a family is better, worse or not distinguishable, with its interval', async ({ page }) => {
  await page.goto('/experiments/7');
  const family = (name: string) => page.locator(`tr[data-family="${name}"]`);
  await expect(family('f0_plain')).toContainText('baseline');
  await expect(family('f2_shared')).toContainText('distinguishable at n = 3, better');
  await expect(family('f1_norm_topk')).toContainText('not distinguishable at n = 3');
  await expect(family('f2_shared').getByRole('img')).toHaveAttribute('aria-label', /^−0\.0\d+, 95% interval −0\.0\d+ to −0\.0\d+$/);
  await expect(family('f3_capacity')).toContainText('without 1 failed, 1 paused');
  await expect(family('f4_wide').getByRole('img')).toHaveCount(0);
  await expect(page.getByTestId('noise')).toContainText('Noise floor: the seed alone moves it by a standard deviation of');
});

test('another metric has its own direction', async ({ page }) => {
  await page.goto('/experiments/7');
  await page.getByRole('combobox', { name: 'Metric of the statistics' }).click();
  await page.getByRole('option', { name: 'perf/tokens_per_sec' }).click();
  await expect(page.getByRole('columnheader', { name: /higher is better/ })).toBeVisible();
});

test('an experiment with one run a family has no such table', async ({ page }) => {
  await page.goto('/experiments/2');
  await expect(page.getByRole('heading', { name: 'Loss curves' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Effect or noise' })).toHaveCount(0);
  await expect(page.getByRole('heading', { name: 'Learning-rate sweep' })).toHaveCount(0);
});

test('a sweep suggests a rate for each variant and says what diverged', async ({ page }) => {
  await page.goto('/experiments/7');
  const variant = (name: string) => page.locator(`tr[data-variant="${name}"]`);
  await expect(variant('f0_plain')).toContainText('5e−4');
  await expect(variant('f0_plain')).toContainText('0.005, 0.008');
  await expect(variant('f2_shared')).toContainText('the mean of the last ten losses prefers 0.0008');
  await expect(variant('f4_wide')).toContainText('3 of 12 rates have not ended');
  await expect(page.getByRole('img', { name: 'Loss against learning rate: f0_plain, f2_shared, f4_wide' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'its runs' })).toHaveAttribute('href', '/experiments/8');
});

for (const scheme of ['light', 'dark'] as const) {
  test(`no accessibility violations, statistics and sweep, ${scheme}`, async ({ page }) => {
    test.slow();
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.goto('/experiments/7');
    await expect(page.locator('tr[data-family]')).toHaveCount(5);
    await expectAccessible(page);
  });
}

test.describe('trouble', () => {
  test.use({ allowed: /Failed to load resource/ });

  test('statistics that fail leave the rest of the page', async ({ page }) => {
    await page.route('**/statistics?**', (route) => route.fulfill({ status: 500, json: { error: { code: 'storage', message: 'the table is locked', details: [] } } }));
    await page.goto('/experiments/7');
    await expect(page.getByRole('alert')).toContainText('the table is locked');
    await expect(page.getByRole('region', { name: 'Runs of f_seeds' })).toBeVisible();
    await page.unroute('**/statistics?**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.locator('tr[data-family]')).toHaveCount(5);
  });
});
