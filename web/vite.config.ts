import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The daemon that `npm run dev` forwards to; the built dashboard is served by the daemon itself.
const daemon = process.env.MOELAB_URL ?? 'http://127.0.0.1:7070';

export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/api': { target: daemon, changeOrigin: true } } },
  build: {
    target: 'es2022',
    // ECharts alone is larger than the default limit; it is its own chunk and loads only with the pages that draw.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'echarts', test: /node_modules[\\/](echarts|zrender)/ },
            { name: 'ui', test: /node_modules[\\/](@mantine|react|react-dom|react-router|scheduler|@floating-ui)/ },
          ],
        },
      },
    },
  },
  // The tests lie outside this folder, where node finds no modules by itself.
  test: {
    dir: '../tests/web/unit',
    alias: Object.fromEntries(['vitest', '@tanstack/react-query'].map((name) => [name, new URL(`./node_modules/${name}`, import.meta.url).pathname])),
  },
});
