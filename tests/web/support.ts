// What every browser test shares: a page whose console must stay clean, and the mock put back to its beginning.
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
