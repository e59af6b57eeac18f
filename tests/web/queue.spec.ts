// The queue: order, reasons, priority, force, hold and drain. Mock only.
import type { Page } from '@playwright/test';

import { expect, isReal, test } from './support';

test.skip(isReal, 'these tests command the mock server');

const names = (page: Page) => page.getByRole('region', { name: 'Queued runs' }).locator('td:nth-child(2) > .name-link');

test('every queued run says in full why it waits', async ({ page }) => {
  await page.goto('/queue');
  await expect(names(page)).toHaveText(['d2_s1_k3_e31', 'd3_s2_k2_e30', 'f4_wide,seed=1', 'f4_wide,seed=2']);
  await expect(page.locator('tr[data-row="12"]')).toContainText('Waits for run 10 (c3_e32_k4), which is starting.');
  await expect(page.locator('tr[data-row="13"]')).toContainText('of user maria');
  await page.goto('/runs');
  await expect(page.locator('tr[data-row^="13:"]')).toContainText('Waits for a GPU');
});

test('a priority is edited in place and changes the order', async ({ page }) => {
  await page.goto('/queue');
  const field = page.getByLabel('Priority of d3_s2_k2_e30');
  await field.fill('5');
  await field.press('Enter');
  await expect(names(page).first()).toHaveText('d3_s2_k2_e30');
  await expect(field).toHaveValue('5');
  await field.fill('9');
  await field.press('Escape');
  await expect(field).toHaveValue('5');
});

test('a priority that is none is said so and not sent', async ({ page }) => {
  await page.goto('/queue');
  let sent = 0;
  page.on('request', (request) => (sent += Number(request.url().endsWith('/priority'))));
  const field = page.getByLabel('Priority of d3_s2_k2_e30');
  for (const wrong of ['high', '1.5', '1001', '']) {
    await field.fill(wrong);
    await field.press('Enter');
    await expect(page.locator('tr[data-row="13"]')).toContainText('−1000 to 1000');
  }
  expect(sent).toBe(0);
  await field.press('Escape');
  await expect(field).toHaveValue('0');
});

test('the queue is held with a reason that everybody sees, then released', async ({ page }) => {
  await page.goto('/queue');
  const mode = page.locator('[data-mode]');
  await expect(mode).toHaveAttribute('data-mode', 'open');
  await page.getByRole('button', { name: 'Hold' }).click();
  await page.getByLabel('Reason').fill('driver update');
  await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
  await expect(mode).toHaveAttribute('data-mode', 'held');
  await expect(mode).toContainText('driver update');
  await expect(page.locator('tr[data-row="12"]')).toContainText('Waits: the queue is on hold (driver update); `moelab release` opens it');
  await page.goto('/');
  await page.getByRole('link', { name: 'On hold' }).click();
  await page.getByRole('button', { name: 'Release' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
  await expect(mode).toHaveAttribute('data-mode', 'open');
  await expect(page.getByRole('link', { name: 'On hold' })).toHaveCount(0);
});

test('a drained server has everything in the queue', async ({ page }) => {
  await page.goto('/queue');
  await page.getByRole('button', { name: 'Drain' }).click();
  await expect(page.getByRole('dialog')).toContainText('writes a checkpoint');
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await expect(page.locator('[data-mode]')).toHaveAttribute('data-mode', 'drained');
  await expect(page.getByText('8 runs queued, 0 with a worker')).toBeVisible();
  await expect(page.locator('[data-mode]')).toContainText('is back in the queue');
});

test('a server that still drains says so', async ({ page }) => {
  await page.route('**/api/v1/queue?limit=100', (route) => route.fulfill({ json: { mode: 'drained', reason: '', since: null, total: 0, live: 1, runs: [] } }));
  await page.goto('/queue');
  await expect(page.locator('[data-mode]')).toContainText('Draining');
  await expect(page.locator('[data-mode]')).toContainText('1 run writes a checkpoint and goes back to the queue.');
});

test('a run is forced, paused and cancelled from its row', async ({ page }) => {
  await page.goto('/queue');
  await page.getByRole('button', { name: 'Force d3_s2_k2_e30 to start' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('also on a device that somebody else uses');
  await dialog.getByRole('combobox', { name: 'Device' }).click();
  await page.getByRole('option', { name: 'gpu2 (busy)' }).click();
  await dialog.getByRole('button', { name: 'Force it' }).click();
  await expect(page.locator('tr[data-row="13"]')).toContainText('Waits for gpu2, forced');
  await page.getByRole('button', { name: 'Pause d2_s1_k3_e31' }).click();
  await page.getByRole('button', { name: 'Pause the run' }).click();
  await expect(page.locator('tr[data-row="12"]')).toHaveCount(0);
  await page.getByRole('button', { name: 'Cancel d3_s2_k2_e30' }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await expect(names(page)).toHaveText(['f4_wide,seed=1', 'f4_wide,seed=2']);
});

test('what changes without an event is seen too', async ({ page }) => {
  await page.goto('/queue');
  await expect(names(page)).toHaveCount(4);
  await page.request.post('/api/v1/queue/hold', { data: { reason: 'from a terminal' } });
  await expect(page.locator('[data-mode]')).toContainText('from a terminal', { timeout: 10_000 });
});

test('an empty queue says so', async ({ page }) => {
  await page.route('**/api/v1/queue?limit=100', (route) => route.fulfill({ json: { mode: 'open', reason: '', since: null, total: 0, live: 0, runs: [] } }));
  await page.goto('/queue');
  await expect(page.getByText('Nothing waits')).toBeVisible();
});

test.describe('trouble', () => {
  test.use({ allowed: /Failed to load resource/ });

  test("the server's refusal stays in the dialog, with what was typed", async ({ page }) => {
    await page.goto('/queue');
    await page.route('**/api/v1/queue/hold', (route) => route.fulfill({ status: 500, json: { error: { code: 'storage', message: 'the database is read-only', details: [] } } }));
    await page.getByRole('button', { name: 'Hold' }).click();
    await page.getByLabel('Reason').fill('lunch');
    await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
    await expect(page.getByRole('dialog').getByRole('alert')).toContainText('the database is read-only');
    await expect(page.getByLabel('Reason')).toHaveValue('lunch');
  });

  test('a queue that cannot be read offers to try again', async ({ page }) => {
    await page.route('**/api/v1/queue**', (route) => route.fulfill({ status: 500, json: { error: { code: 'internal', message: 'no queue today', details: [] } } }));
    await page.goto('/queue');
    await expect(page.getByRole('alert')).toContainText('no queue today');
    await page.unroute('**/api/v1/queue**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(names(page)).toHaveCount(4);
  });
});
