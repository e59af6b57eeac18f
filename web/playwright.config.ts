// Browser tests of the dashboard. Without MOELAB_URL they run against the mock server, which serves web/dist (build first);
// with it, against that daemon, and the specs that need the mock skip themselves.
import { defineConfig } from '@playwright/test';

const real = process.env.MOELAB_URL;
const mockPort = Number(process.env.MOELAB_MOCK_PORT ?? 8651);

export default defineConfig({
  testDir: '../tests/web',
  testMatch: '*.spec.ts',
  outputDir: process.env.MOELAB_WEB_RESULTS ?? './node_modules/.playwright-results',
  workers: 1,
  timeout: 30_000,
  reporter: [['list']],
  use: {
    baseURL: real ?? `http://127.0.0.1:${mockPort}`,
    viewport: { width: 1440, height: 900 },
    colorScheme: 'light',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.MOELAB_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  ...(real
    ? {}
    : {
        webServer: {
          command: `"${process.execPath}" ../tests/web/mock/server.ts --port ${mockPort}`,
          url: `http://127.0.0.1:${mockPort}/api/v1/health`,
          reuseExistingServer: true,
        },
      }),
});
