// What every browser test shares: a page whose console must stay clean, and the mock put back to its beginning.
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';

/** Against a real daemon only what the contract promises can be tested. */
export const isReal = process.env.MOELAB_URL !== undefined;

interface Fixtures {
  /** Console errors that this test causes on purpose. */
  allowed: RegExp | null;
}

export const test = base.extend<Fixtures>({
  allowed: [null, { option: true }],
  page: async ({ page, request, allowed }, use) => {
    if (!isReal) await request.post('/__mock/reset');
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await use(page);
    const unexpected = complaints.filter((text) => !allowed?.test(text));
    expect(unexpected, 'the console stays clean').toEqual([]);
  },
});

export { expect };

/** The cells of one column, top to bottom. */
export function column(page: Page, name: string) {
  return page.locator(`td[data-column="${name}"]`);
}

export async function numbersIn(page: Page, name: string): Promise<number[]> {
  const texts = await column(page, name).allInnerTexts();
  return texts.map((text) => Number(text.replace('−', '-'))).filter((value) => !Number.isNaN(value));
}

export async function tick(page: Page, steps: number): Promise<void> {
  await page.request.post(`/__mock/tick?steps=${steps}`);
}

/** The page as it stands, once loaded, against WCAG 2.1 AA. */
export async function expectAccessible(page: Page): Promise<void> {
  await expect(page.locator('h1')).toBeVisible();
  await expect(page.locator('.mantine-Skeleton-root')).toHaveCount(0);
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).analyze();
  expect(violations.map((v) => `${page.url()} ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`)).toEqual([]);
}
