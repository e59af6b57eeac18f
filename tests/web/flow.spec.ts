// What a person does, relying on the contract alone: runs against the mock and, with MOELAB_URL, against any daemon that has
// at least one experiment with two runs, of which one has logged expert load.
import { column, expect, expectAccessible, numbersIn, test } from './support';

test('from the list to an experiment to a run', async ({ page }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Experiments' })).toBeVisible();
  const link = page.locator('td .name-link').first();
  const name = await link.innerText();
  await link.click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  const run = column(page, 'name').locator('.name-link').first();
  const runName = await run.innerText();
  await run.click();
  await expect(page.getByRole('heading', { level: 1, name: runName })).toBeVisible();
  await expect(page).toHaveTitle(new RegExp(runName.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  for (const tab of ['Expert load', 'Config', 'Log', 'Events', 'Artifacts', 'Metrics']) {
    await page.getByRole('tab', { name: tab }).click();
    await expect(page.getByRole('tab', { name: tab })).toHaveAttribute('aria-selected', 'true');
  }
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
});

test('the run table sorts by a number, down and up', async ({ page }) => {
  await page.goto('/runs');
  const header = page.getByRole('columnheader', { name: 'Eval loss' });
  await header.getByRole('button').click();
  await expect(header).toHaveAttribute('aria-sort', 'ascending');
  await expect.poll(async () => (await numbersIn(page, 'eval_loss')).length).toBeGreaterThan(1);
  await expect
    .poll(async () => {
      const losses = await numbersIn(page, 'eval_loss');
      return losses.join() === [...losses].sort((a, b) => a - b).join();
    })
    .toBe(true);
  await header.getByRole('button').click();
  await expect(header).toHaveAttribute('aria-sort', 'descending');
  await expect
    .poll(async () => {
      const losses = await numbersIn(page, 'eval_loss');
      return losses.join() === [...losses].sort((a, b) => b - a).join();
    })
    .toBe(true);
});

test('the search narrows the runs', async ({ page }) => {
  await page.goto('/runs');
  const names = column(page, 'name').locator('.name-link');
  await expect(names.first()).toBeVisible();
  const wanted = await names.last().innerText();
  await page.getByLabel('Search runs').fill(wanted);
  await expect(names.first()).toHaveText(wanted);
  await page.getByLabel('Search runs').fill('no run is called like this');
  await expect(page.getByText('No run matches')).toBeVisible();
});

test('the step slider changes the heat map', async ({ page, request }) => {
  const listing = (await (await request.get('/api/v1/runs?limit=1000')).json()) as { runs: { id: number; metrics: Record<string, unknown> }[] };
  const run = listing.runs.find((candidate) => 'router/maxvio' in candidate.metrics && candidate.metrics['eval/loss'] !== undefined);
  test.skip(!run, 'no run has expert load yet');
  await page.goto(`/runs/${run?.id}?tab=load`);
  const map = page.getByTestId('heat-map').getByRole('img', { name: /Expert load of/ });
  await expect(map).toBeVisible();
  const atEnd = await map.getAttribute('aria-label');
  const slider = page.getByRole('slider', { name: 'Step' });
  await slider.press('Home');
  await expect(map).not.toHaveAttribute('aria-label', atEnd ?? '');
  const first = Number((await page.getByTestId('load-step').innerText()).replaceAll(',', ''));
  await slider.press('ArrowRight');
  await expect.poll(async () => Number((await page.getByTestId('load-step').innerText()).replaceAll(',', ''))).toBeGreaterThan(first);
  await expect(page.getByRole('link', { name: /as GIF/ })).toHaveAttribute('href', new RegExp(`/runs/${run?.id}/expert-load\\?format=gif`));
});

test('light and dark: by the system, then by hand', async ({ page }) => {
  const scheme = () => page.locator('html').getAttribute('data-mantine-color-scheme');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto('/');
  await expect.poll(scheme).toBe('dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await expect.poll(scheme).toBe('light');
  await page.getByRole('button', { name: 'Colour scheme' }).click();
  await page.getByRole('menuitem', { name: 'Dark', exact: true }).click();
  await expect.poll(scheme).toBe('dark');
  await page.reload();
  await expect.poll(scheme).toBe('dark');
});

test('an address that is no page, and a run that does not exist', async ({ page }) => {
  await page.goto('/nowhere');
  await expect(page.getByText('There is no such page')).toBeVisible();
  await page.goto('/runs/abc');
  await expect(page.getByText('There is no such page')).toBeVisible();
});

interface Somewhere {
  id: number;
  experiment_id: number;
}

/** Pages by what they are called; one test each, since the audit of a page takes seconds. */
const PAGES: Record<string, (run: Somewhere) => string> = {
  experiments: () => '/',
  runs: () => '/runs',
  queue: () => '/queue',
  devices: () => '/devices',
  experiment: (run) => `/experiments/${run.experiment_id}`,
  run: (run) => `/runs/${run.id}`,
  config: (run) => `/runs/${run.id}?tab=config`,
  log: (run) => `/runs/${run.id}?tab=log`,
  events: (run) => `/runs/${run.id}?tab=events`,
};

for (const scheme of ['light', 'dark'] as const) {
  for (const [name, path] of Object.entries(PAGES)) {
    test(`no accessibility violations, ${name}, ${scheme}`, async ({ page }) => {
      test.slow();
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      const { runs } = (await (await page.request.get('/api/v1/runs?limit=1&sort=id')).json()) as { runs: Somewhere[] };
      await page.goto(path(runs[0] as Somewhere));
      await expectAccessible(page);
    });
  }
}
