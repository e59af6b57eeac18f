// Webhooks: added, tried, switched off, deleted. Mock only.
import { expect, expectAccessible, isReal, test } from './support';

test.skip(isReal, 'these tests command the mock server');

test('each webhook says how its last call went', async ({ page }) => {
  await page.goto('/webhooks');
  await expect(page.locator('tr[data-row="1"]')).toContainText('Delivered (204)');
  await expect(page.locator('tr[data-row="2"]')).toContainText('Will be tried again: the receiver answered 503');
  await expect(page.locator('tr[data-row="2"]')).toContainText('2 calls to come');
});

test('one is added after its address is right, and its secret is shown once', async ({ page }) => {
  await page.goto('/webhooks');
  await page.getByRole('button', { name: 'Add a webhook' }).click();
  const dialog = page.getByRole('dialog');
  for (const [wrong, why] of [['example.org', 'An http or https address'], ['ftp://example.org', 'Only http and https'], ['https://me:secret@example.org', 'Without user and password']] as const) {
    await dialog.getByLabel('Address').fill(wrong);
    await dialog.getByRole('button', { name: 'Add' }).click();
    await expect(dialog).toContainText(why);
  }
  await dialog.getByLabel('Address').fill('https://example.org/hook');
  await dialog.getByLabel('Experiment').fill('a_load_balanc');
  await expect(dialog).toContainText('No experiment is called so yet');
  await dialog.getByLabel('Experiment').fill('a_load_balance');
  await expect(dialog).not.toContainText('No experiment is called so yet');
  await dialog.getByLabel('Experiment').fill('');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await expect(dialog.getByTestId('secret')).toHaveText('mock-secret-0123456789abcdef');
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await expect(page.locator('tr[data-row="3"]')).toContainText('every end of a run, and alerts');
  await expect(page.getByText('mock-secret')).toHaveCount(0);
});

test('one is tried, switched off and deleted', async ({ page }) => {
  await page.goto('/webhooks');
  await page.getByRole('button', { name: 'Test https://night.example.org/on-end' }).click();
  await expect(page.locator('tr[data-row="2"]')).toContainText('Given up: the receiver answered 503.');
  const on = page.getByRole('switch', { name: 'Deliver to https://night.example.org/on-end' });
  await on.press('Space');
  await expect(on).not.toBeChecked();
  await page.getByRole('button', { name: 'Delete https://night.example.org/on-end' }).click();
  await page.getByRole('button', { name: 'Delete it' }).click();
  await expect(page.locator('tr[data-row]')).toHaveCount(1);
});

test('no accessibility violations, webhooks', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.goto('/webhooks');
  await expect(page.locator('tr[data-row]')).toHaveCount(2);
  await expectAccessible(page);
});

test.describe('trouble', () => {
  test.use({ allowed: /Failed to load resource/ });

  test("an address that the daemon refuses stays in the dialog with the server's words", async ({ page }) => {
    await page.goto('/webhooks');
    await page.getByRole('button', { name: 'Add a webhook' }).click();
    await page.getByLabel('Address').fill('http://10.0.0.3/hook');
    await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
    await expect(page.getByRole('dialog').getByRole('alert')).toContainText('is not public');
    await expect(page.getByLabel('Address')).toHaveValue('http://10.0.0.3/hook');
  });
});
