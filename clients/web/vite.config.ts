import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { preloadRoutes } from './build/preload-routes.ts'

const server = process.env.HUIZHEN_URL ?? 'http://127.0.0.1:8443'

export default defineConfig({
  plugins: [vue(), preloadRoutes({ '/room/': 'src/room/RoomPage.vue', '/g/': 'src/room/GuestPage.vue' })],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    target: 'es2022',
    sourcemap: false,
    chunkSizeWarningLimit: 400,
    rollupOptions: {
      output: {
        // Three long-lived vendor files: what every page needs, the socket, and the media library that only a room needs.
        manualChunks: (id: string) => {
          if (!id.includes('node_modules')) return undefined
          if (/mediasoup-client|h264-profile|sdp-transform|ua-parser|awaitqueue|supports-color/.test(id)) return 'media'
          if (/socket\.io|engine\.io/.test(id)) return 'socket'
          if (/node_modules\/(@vue|vue|vue-router|pinia|vue-i18n|@intlify)\//.test(id)) return 'vendor'
          return undefined
        },
      },
    },
  },
  worker: { format: 'es' },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/socket.io', '/signals', '/whip', '/healthz'].map((path) => [path, { target: server, ws: true }]),
    ),
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts', 'build/**/*.test.ts'],
    restoreMocks: true,
  },
})
