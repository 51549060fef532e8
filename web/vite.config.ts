import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// `npm run dev` serves the console with hot reload in front of a running server (STRATA_SERVER).
const server = process.env.STRATA_SERVER ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: '/ui/',
  plugins: [react()],
  build: {
    target: 'es2022',
    // The server answers everything below assets/ with "immutable": names hold a hash of the content.
    assetsDir: 'assets',
    assetsInlineLimit: 0, // a data: URL would need a hole in the Content-Security-Policy
    chunkSizeWarningLimit: 1500,
  },
  test: {
    setupFiles: ['src/test-setup.ts'],
    // As the browser gets them: what is written for require() takes in modules, which Node 18 cannot.
    alias: { '@ant-design/icons': fileURLToPath(new URL('node_modules/@ant-design/icons/es/index.js', import.meta.url)) },
    server: { deps: { inline: [/@ant-design/] } },
  },
  server: {
    fs: { allow: ['..'] }, // docs/manual is the console's help
    proxy: Object.fromEntries(['/api', '/v2', '/service', '/version', '/prometheus'].map((p) => [p, { target: server, ws: true }])),
  },
});
