// What needs a server that does as it is told: changes on command, refusals, silence. Mock only.
import { column, expect, isReal, test, tick } from './support';

test.skip(isReal, 'these tests command the mock server');

const REFUSED = /Failed to load resource|ERR_/;

test.describe('live', () => {
  test('a step arrives in the cell, the header and the curve without a reload', async ({ page }) => {
    await page.goto('/experiments/2');
    const row = page.locator('tr[data-row^="5:"]');
    await expect(row.locator('td[data-column="progress"]')).toContainText('330 / 600');
    await expect(page.getByTestId('connection')).toHaveText('Live');
    const before = await row.locator('td[data-column="eval_loss"]').innerText();
    await tick(page, 60);
    await expect(row.locator('td[data-column="progress"]')).toContainText('390 / 600');
    await expect(row.locator('td[data-column="eval_loss"]')).not.toHaveText(before);
    await tick(page, 600);
    await expect(row.locator('[data-state]')).toHaveAttribute('data-state', 'completed');
    await expect(page.locator('h1 + [data-state]')).toHaveAttribute('data-state', 'completed');
    const { rows } = (await (await page.request.get('/api/v1/experiments/2/results')).json()) as { rows: { run_id: number; delta: number }[] };
    const delta = rows.find((result) => result.run_id === 5)?.delta ?? NaN;
    await expect(row.locator('td[data-column="delta"]')).toHaveText(`${delta < 0 ? '−' : '+'}${Math.abs(delta).toFixed(4)}`);
  });

  test('what is deleted elsewhere leaves the lists', async ({ page, context }) => {
    await page.goto('/runs');
    const row = page.locator('tr', { has: page.getByRole('link', { name: 'b1_e2_k1', exact: true }) });
    await expect(row).toHaveCount(1);
    const before = await page.locator('h1 + div').innerText();
    const list = await context.newPage();
    await list.goto('/');
    await expect(list.locator('tr[data-row="7"]')).toHaveCount(1);
    await page.request.post('/api/v1/runs/6/delete');
    await expect(row).toHaveCount(0);
    await expect(page.locator('h1 + div')).not.toHaveText(before);
    await page.request.post('/api/v1/experiments/7/delete');
    await expect(list.locator('tr[data-row="7"]')).toHaveCount(0);
    await list.close();
  });

  test('a run that belongs to two experiments keeps its name in each', async ({ page }) => {
    await page.goto('/experiments/3');
    const row = page.locator('tr[data-row^="5:"]');
    await expect(row.locator('.name-link')).toHaveText('b3_e8_k1');
    await tick(page, 30);
    await expect(row.locator('td[data-column="progress"]')).toContainText('360 / 600');
    await expect(row.locator('.name-link')).toHaveText('b3_e8_k1');
  });

  test('a run with two names in one experiment stands there twice', async ({ page }) => {
    await page.goto('/experiments/1');
    await expect(column(page, 'name').locator('.name-link')).toHaveText(['llama2_ref', 'moedl_dense', 'dense_wide']);
  });

  test('the progress of the list moves', async ({ page }) => {
    await page.goto('/');
    const row = page.locator('tr[data-row="2"]');
    await expect(row).toContainText('85%');
    await tick(page, 600);
    await expect(row).toContainText('100%');
    await expect(row).toContainText('3 completed');
  });

  test('new frames are appended to the heat map of a running run', async ({ page }) => {
    await page.goto('/runs/5?tab=load');
    await expect(page.getByTestId('load-step')).toHaveText('330');
    await tick(page, 40);
    await expect(page.getByTestId('load-step')).toHaveText('370', { timeout: 10_000 });
  });
});

test('the filter takes words, states and knobs', async ({ page }) => {
  await page.goto('/experiments/6');
  const names = column(page, 'name').locator('.name-link');
  await expect(names).toHaveCount(4);
  const filter = page.getByLabel('Filter the runs');
  await filter.fill('capacity_factor=1.5');
  await expect(names).toHaveText(['e2_cf_1.5']);
  await filter.fill('lost');
  await expect(names).toHaveText(['e4_cf_2.5']);
  await filter.fill('completed cf_1');
  await expect(names).toHaveText(['e1_cf_1.0']);
});

test('ticked runs are drawn, and the choice is in the address', async ({ page }) => {
  await page.goto('/experiments/2');
  await expect(page.getByTestId('heat-map')).toHaveCount(3);
  await page.getByLabel('Draw a1_lb_penalty').click();
  await expect(page.getByTestId('heat-map')).toHaveCount(2);
  await expect(page).toHaveURL(/runs=3(,|%2C)5/);
  await page.reload();
  await expect(page.getByTestId('heat-map')).toHaveCount(2);
});

test('playing moves all heat maps together to the end', async ({ page }) => {
  test.slow();
  await page.goto('/experiments/2');
  const maps = page.getByTestId('heat-map').getByRole('img', { name: /Expert load of/ });
  await expect(maps).toHaveCount(3);
  await page.getByRole('slider', { name: 'Step' }).press('Home');
  for (const map of await maps.all()) await expect(map).toHaveAttribute('aria-label', /at step 10,/);
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await expect(page.getByRole('button', { name: 'Pause', exact: true })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Play', exact: true })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('load-step')).toHaveText('600');
});

test('a diverged run says so instead of showing a gap', async ({ page }) => {
  await page.goto('/runs/16');
  await expect(page.getByText('e2_cf_1.5: train/loss is NaN from step 225')).toBeVisible();
  await expect(page.locator('.stats')).toContainText('NaN');
});

test('knobs that differ from the baseline stand out', async ({ page }) => {
  await page.goto('/runs/16?tab=config');
  await expect(page.locator('.config-row.differs')).toContainText(['lb_gamma', 'capacity_factor']);
  await page.getByRole('switch', { name: 'Only differences' }).click();
  await expect(page.locator('.config-row')).toHaveCount(await page.locator('.config-row.differs').count());
});

test('cancel asks first, then the state follows; retry queues it again', async ({ page }) => {
  await page.goto('/runs/7');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Keep it' }).click();
  await expect(page.locator('h1 + [data-state]')).toHaveAttribute('data-state', 'running');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await expect(page.locator('h1 + [data-state]')).toHaveAttribute('data-state', 'cancelled');
  await page.getByRole('button', { name: 'Retry', exact: true }).click();
  await page.getByRole('button', { name: 'Retry the run' }).click();
  await expect(page.locator('h1 + [data-state]')).toHaveAttribute('data-state', 'queued');
});

test('the log follows', async ({ page }) => {
  await page.goto('/runs/7?tab=log');
  await expect(page.getByLabel('Log lines')).toContainText('step 225/600');
});

test('devices say who has them', async ({ page }) => {
  await page.goto('/devices');
  await expect(page.locator('[data-device="gpu0"]')).toContainText('a2_lb_biasing');
  await expect(page.locator('[data-device="gpu2"]')).toContainText('maria');
  await expect(page.locator('[data-device="cpu0"]')).toContainText('Free');
});

test('a matrix is planned, then submitted', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Submit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('experiments.yaml').fill('version: 1\nexperiments: []\n');
  await dialog.getByRole('button', { name: 'Show the plan' }).click();
  await expect(dialog.getByRole('region', { name: 'Plan' }).locator('tbody tr')).toHaveCount(3);
  await dialog.getByRole('button', { name: 'Submit 2 new runs' }).click();
  await expect(page).toHaveURL(/\/experiments\/2/);
});

test('the token is taken from the address, sent, and stripped', async ({ page }) => {
  const header = page.waitForRequest((request) => request.url().endsWith('/api/v1/experiments') && request.headers()['authorization'] === 'Bearer s3cret');
  const stream = page.waitForRequest((request) => request.url().endsWith('/api/v1/stream?token=s3cret'));
  await page.goto('/?token=s3cret');
  await Promise.all([header, stream]);
  await expect(page).toHaveURL(/\/$/);
});

test('nothing there yet: says how to begin', async ({ page }) => {
  await page.route('**/api/v1/experiments', (route) => route.fulfill({ json: { experiments: [], total: 0 } }));
  await page.goto('/');
  await expect(page.getByText('moelab submit experiments.yaml --profile demo')).toBeVisible();
});

test.describe('trouble', () => {
  test.use({ allowed: REFUSED });

  test("a refusal is shown in the server's words", async ({ page }) => {
    await page.goto('/runs/999');
    await expect(page.getByRole('alert')).toContainText('There is no run 999; moelab ls lists what there is');
  });

  test('the page of what is deleted elsewhere says so', async ({ page }) => {
    for (const [address, remove] of [['/runs/6', '/api/v1/runs/6/delete'], ['/experiments/7', '/api/v1/experiments/7/delete']] as const) {
      await page.goto(address);
      await expect(page.getByTestId('connection')).toHaveText('Live');
      await page.request.post(remove);
      await expect(page.getByRole('alert')).toContainText('Not found');
    }
  });

  test('problems in the YAML come with their lines', async ({ page }) => {
    await page.goto('/');
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByLabel('experiments.yaml').fill('version: 1\nmoe: {num_expert: 3}\n  num_expert: 3');
    await page.getByRole('button', { name: 'Show the plan' }).click();
    await expect(page.getByRole('alert')).toContainText('did you mean moe.num_experts?');
    await expect(page.getByRole('alert')).toContainText('line 2');
  });

  test('a daemon that cannot be reached', async ({ page }) => {
    await page.route('**/api/v1/**', (route) => route.abort());
    await page.goto('/devices');
    await expect(page.getByText('The daemon does not answer')).toBeVisible({ timeout: 10_000 });
    await page.unroute('**/api/v1/**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.locator('[data-device="gpu0"]')).toBeVisible();
  });

  test('a lost connection shows a banner; back again, what was missed is read', async ({ page }) => {
    await page.goto('/experiments/2');
    const progress = page.locator('tr[data-row^="5:"] td[data-column="progress"]');
    await expect(progress).toContainText('330 / 600');
    await page.route('**/api/v1/stream', (route) => route.abort());
    await page.request.post('/__mock/drop');
    await expect(page.getByText('Connection to the daemon lost')).toBeVisible();
    await tick(page, 60);
    await page.unroute('**/api/v1/stream');
    await page.getByRole('button', { name: 'Retry now' }).click();
    await expect(page.getByText('Connection to the daemon lost')).toBeHidden();
    await expect(progress).toContainText('390 / 600');
  });
});
