// Devices: states in words, sharing, and what a person can change. Mock only.
import { expect, isReal, test } from './support';

test.skip(isReal, 'these tests command the mock server');

const state = 'data-device-state';

test('every state says why, and how warm it is', async ({ page }) => {
  await page.goto('/devices');
  const card = (id: string) => page.locator(`[data-device="${id}"]`);
  await expect(card('gpu0')).toContainText('71 °C · 412 W');
  await expect(card('gpu2')).toContainText('is used by pid 31337 of user maria');
  await expect(card('gpu3')).toHaveAttribute(state, 'quarantined');
  await expect(card('gpu3')).toContainText('3 runs in a row failed on it');
  await expect(card('gpu4')).toContainText('it has fallen off the bus');
  await expect(card('cpu0')).toContainText('CPUs 0–7');
  await expect(page.getByText('in quarantine', { exact: false }).first()).toBeVisible();
});

test('several runs on one device are all named', async ({ page }) => {
  const list = (await (await page.request.get('/api/v1/devices')).json()) as { devices: { id: string; runs: unknown[] }[] };
  const shared = list.devices.map((device) => (device.id === 'gpu1' ? { ...device, state: 'leased', note: '', runs: [{ id: 5, name: 'a2_lb_biasing' }, { id: 7, name: 'b2_e4_k1' }] } : device));
  await page.route('**/api/v1/devices', (route) => route.fulfill({ json: { ...list, devices: shared } }));
  await page.goto('/devices');
  const card = page.locator('[data-device="gpu1"]');
  await expect(card).toContainText('2 runs share it: a2_lb_biasing, b2_e4_k1');
  await expect(card.getByRole('link', { name: 'b2_e4_k1' })).toHaveAttribute('href', '/runs/7');
});

test('a device is disabled with a reason and enabled again; a quarantine is lifted; a fault is not', async ({ page }) => {
  await page.goto('/devices');
  await page.getByRole('button', { name: 'Disable cpu0' }).click();
  await page.getByLabel('Reason').fill('benchmark tonight');
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
  const cpu = page.locator('[data-device="cpu0"]');
  await expect(cpu).toHaveAttribute(state, 'disabled');
  await expect(cpu).toContainText('benchmark tonight');
  await page.getByRole('button', { name: 'Enable cpu0' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Enable' }).click();
  await expect(cpu).toHaveAttribute(state, 'free');
  await page.getByRole('button', { name: 'Enable gpu3' }).click();
  await expect(page.getByRole('dialog')).toContainText('3 runs in a row failed on it');
  await page.getByRole('dialog').getByRole('button', { name: 'Enable' }).click();
  await expect(page.locator('[data-device="gpu3"]')).toHaveAttribute(state, 'free');
  await expect(page.getByRole('button', { name: /able gpu4/ })).toHaveCount(0);
});

test.describe('trouble', () => {
  test.use({ allowed: /Failed to load resource/ });

  test("the server's refusal stays in the dialog", async ({ page }) => {
    await page.goto('/devices');
    await page.route('**/api/v1/devices/cpu0/disable', (route) => route.fulfill({ status: 404, json: { error: { code: 'not_found', message: 'There is no device cpu0', details: [] } } }));
    await page.getByRole('button', { name: 'Disable cpu0' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await expect(page.getByRole('dialog').getByRole('alert')).toContainText('There is no device cpu0');
    await expect(page.locator('[data-device="cpu0"]')).toHaveAttribute(state, 'free');
  });
});
