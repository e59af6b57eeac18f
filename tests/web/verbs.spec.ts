// Verbs on a run, on several, and on an experiment. Mock only.
import type { Page } from '@playwright/test';

import { expect, isReal, test } from './support';

test.skip(isReal, 'these tests command the mock server');

const state = (page: Page) => page.locator('h1 + [data-state]');

/** Runs page rows by name; the newest run is on top. */
const row = (page: Page, name: string) => page.locator('tr', { has: page.getByRole('link', { name, exact: true }) });

test('pause says what it does, then the run can be resumed', async ({ page }) => {
  await page.goto('/runs/7');
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await expect(page.getByRole('dialog')).toContainText('writes a checkpoint and gives the device back');
  await page.getByRole('button', { name: 'Pause the run' }).click();
  await expect(state(page)).toHaveAttribute('data-state', 'paused');
  await expect(page.getByText('It holds no device')).toBeVisible();
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await page.getByRole('button', { name: 'Resume the run' }).click();
  await expect(state(page)).toHaveAttribute('data-state', 'queued');
});

test('kill and rerun are in the menu', async ({ page }) => {
  await page.goto('/runs/7');
  await page.getByRole('button', { name: 'More for b2_e4_k1' }).click();
  await page.getByRole('menuitem', { name: 'Kill' }).click();
  await expect(page.getByRole('dialog')).toContainText('no checkpoint');
  await page.getByRole('button', { name: 'Kill the run' }).click();
  await expect(state(page)).toHaveAttribute('data-state', 'cancelled');
  await page.getByRole('button', { name: 'More for b2_e4_k1' }).click();
  await page.getByRole('menuitem', { name: 'Rerun' }).click();
  await expect(page.getByRole('dialog')).toContainText('from step 0');
  await page.getByRole('button', { name: 'Rerun the run' }).click();
  await expect(state(page)).toHaveAttribute('data-state', 'queued');
  await expect(page.getByText('attempt 2')).toBeVisible();
});

test('a completed run is offered no retry, and a queued one says why it waits', async ({ page }) => {
  await page.goto('/runs/1');
  await expect(state(page)).toHaveAttribute('data-state', 'completed');
  await expect(page.getByRole('button', { name: 'Retry', exact: true })).toHaveCount(0);
  await page.goto('/runs/13');
  await expect(page.getByTestId('waiting')).toContainText('gpu2 is used by pid 31337 of user maria');
  await page.getByRole('link', { name: 'See the queue' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible();
});

test('ticked runs are acted on together; those left alone are listed with the reason', async ({ page }) => {
  await page.goto('/runs');
  await expect(page.getByRole('toolbar')).toHaveCount(0);
  for (const name of ['b2_e4_k1', 'c4_e64_k8', 'b1_e2_k1']) await page.getByLabel(`Choose ${name}`, { exact: true }).click();
  const bar = page.getByRole('toolbar', { name: 'Actions for the chosen runs' });
  await expect(bar).toContainText('3 runs chosen');
  await bar.getByRole('button', { name: 'Pause 2' }).click();
  await expect(page.getByRole('dialog')).toContainText('1 run of your choice is in another state and will be left alone');
  await page.getByRole('button', { name: 'Pause 2 runs' }).click();
  const answer = page.getByRole('dialog', { name: '2 runs were paused, 1 was left as it is' });
  await expect(answer.getByRole('listitem')).toHaveText(['b1_e2_k1 run 6 is completed: only a queued or running run can be paused']);
  await answer.getByRole('button', { name: 'Close' }).last().click();
  await expect(bar).toHaveCount(0);
  for (const name of ['b2_e4_k1', 'c4_e64_k8']) await expect(row(page, name).locator('[data-state]')).toHaveAttribute('data-state', 'paused');
});

test('every run shown is ticked and unticked by one box; a filter takes hidden runs out', async ({ page }) => {
  await page.goto('/runs');
  await expect(row(page, 'b2_e4_k1')).toBeVisible();
  await page.getByLabel('Choose every run shown').click();
  const bar = page.getByRole('toolbar');
  await expect(bar).toContainText(/\d+ runs chosen/);
  await page.getByLabel('Search runs').fill('c_granularity');
  await expect(bar).toContainText('3 runs chosen');
  await page.getByLabel('Choose every run shown').click();
  await expect(bar).toHaveCount(0);
});

test('an experiment is paused and resumed as a whole', async ({ page }) => {
  await page.goto('/experiments/7');
  await page.getByRole('button', { name: 'Pause the runs of f_seeds' }).click();
  await expect(page.getByRole('dialog')).toContainText('Pause 2 runs of f_seeds?');
  await page.getByRole('button', { name: 'Pause 2 runs' }).click();
  await expect(page.getByText('2 runs were paused.')).toBeVisible();
  await expect(page.locator('td [data-state="paused"]')).toHaveCount(4);
  await page.getByRole('button', { name: 'More for f_seeds' }).click();
  await expect(page.getByRole('menuitem', { name: 'Rerun (11)' })).toBeVisible();
  await page.getByRole('menuitem', { name: 'Retry (1)' }).click();
  await page.getByRole('button', { name: 'Retry 1 run' }).click();
  await expect(page.locator('td [data-state="queued"]')).toHaveCount(1);
});

test('an ended run is archived and listed again', async ({ page }) => {
  await page.goto('/runs/6');
  await page.getByRole('button', { name: 'More for b1_e2_k1' }).click();
  await page.getByRole('menuitem', { name: 'Archive' }).click();
  await expect(page.getByRole('dialog')).toContainText('the files stay');
  await page.getByRole('button', { name: 'Archive the run' }).click();
  await expect(page.getByText('archived', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'More for b1_e2_k1' }).click();
  await page.getByRole('menuitem', { name: 'Unarchive' }).click();
  await page.getByRole('button', { name: 'Unarchive the run' }).click();
  await expect(page.getByText('archived', { exact: true })).toHaveCount(0);
});

test.describe('trouble', () => {
  test.use({ allowed: /Failed to load resource/ });

  test("a refused verb is told in the server's words and changes nothing", async ({ page }) => {
    await page.goto('/runs/7');
    await page.route('**/api/v1/runs/7/pause', (route) =>
      route.fulfill({ status: 409, json: { error: { code: 'conflict', message: 'run 7 is stopping already (kill)', details: [] } } }),
    );
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByRole('button', { name: 'Pause the run' }).click();
    await expect(page.getByText('run 7 is stopping already (kill)')).toBeVisible();
    await expect(state(page)).toHaveAttribute('data-state', 'running');
  });

  test('a server that fails leaves the ticked runs ticked', async ({ page }) => {
    await page.goto('/runs');
    await page.getByLabel('Choose b2_e4_k1', { exact: true }).click();
    await page.route('**/api/v1/runs/cancel', (route) => route.fulfill({ status: 500, json: { error: { code: 'storage', message: 'the disk is full', details: [] } } }));
    await page.getByRole('button', { name: 'Cancel 1', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel 1 run' }).click();
    await expect(page.getByText('the disk is full')).toBeVisible();
    await expect(page.getByRole('toolbar')).toContainText('1 run chosen');
  });
});

test('a run is deleted behind a question that names what goes', async ({ page }) => {
  await page.goto('/runs/6');
  await page.getByRole('button', { name: 'More for b1_e2_k1' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete b1_e2_k1?' });
  await expect(dialog).toContainText('b1_e2_k1: its metrics, checkpoints, journal and artifacts go for good');
  await dialog.getByRole('button', { name: 'Keep everything' }).click();
  await expect(state(page)).toHaveAttribute('data-state', 'completed');
  await page.getByRole('button', { name: 'More for b1_e2_k1' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete the run' }).click();
  await expect(page).toHaveURL(/\/experiments\/\d+$/);
  await expect(page.getByText('1 run, with all files.')).toBeVisible();
});

test('a run with a worker is offered no deletion', async ({ page }) => {
  await page.goto('/runs/7');
  await page.getByRole('button', { name: 'More for b2_e4_k1' }).click();
  await expect(page.getByRole('menuitem', { name: 'Kill' })).toBeVisible();
  await expect(page.getByRole('menuitem', { name: 'Delete' })).toHaveCount(0);
});

test('several runs are deleted together; one with a worker stays', async ({ page }) => {
  await page.goto('/runs');
  for (const name of ['b2_e4_k1', 'b1_e2_k1']) await page.getByLabel(`Choose ${name}`, { exact: true }).click();
  await page.getByRole('toolbar').getByRole('button', { name: 'Delete 1' }).click();
  await expect(page.getByRole('dialog')).toContainText('1 run of your choice has a worker and stays.');
  await page.getByRole('button', { name: 'Delete the run' }).click();
  await expect(row(page, 'b1_e2_k1')).toHaveCount(0);
  await expect(row(page, 'b2_e4_k1')).toHaveCount(1);
});

test('an experiment is deleted with its runs', async ({ page }) => {
  await page.goto('/experiments/1');
  const name = await page.locator('h1').innerText();
  await page.getByRole('button', { name: `More for ${name}` }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await expect(page.getByRole('dialog', { name: `Delete ${name}?` })).toContainText('The experiment goes.');
  await page.getByRole('button', { name: 'Delete the experiment' }).click();
  await expect(page).toHaveURL(/\/$/);
  await expect(page.locator('tr[data-row="2"]')).toHaveCount(1);
  await expect(page.locator('tr[data-row="1"]')).toHaveCount(0);
});

test('what is archived is listed on demand', async ({ page }) => {
  await page.request.post('/api/v1/experiments/1/archive');
  await page.goto('/');
  await expect(page.locator('tr[data-row="2"]')).toHaveCount(1);
  await expect(page.locator('tr[data-row="1"]')).toHaveCount(0);
  await page.getByRole('switch', { name: 'Archived' }).click();
  await expect(page.locator('tr[data-row="1"]')).toContainText('archived');
  await page.locator('tr[data-row="1"]').getByRole('link').first().click();
  await expect(page.locator('tr[data-row]').first()).toBeVisible();
  await page.goto('/runs');
  await expect(row(page, 'llama2_ref')).toHaveCount(0);
  await page.getByRole('switch', { name: 'Archived' }).click();
  await expect(row(page, 'llama2_ref')).toHaveCount(1);
});

test('a run of no experiment links to none, and shows no knobs it has not', async ({ page }) => {
  await page.route('**/api/v1/runs/6', async (route) => {
    const run = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...run, experiment: '', experiment_id: null, aliases: [], varied: {} } });
  });
  await page.goto('/runs/6');
  await expect(page.getByLabel('Breadcrumb')).toContainText('no experiment');
  await expect(page.locator('a[href$="/experiments/null"]')).toHaveCount(0);
  await expect(page.locator('h1 ~ div', { hasText: /^–$/ })).toHaveCount(0);
});
