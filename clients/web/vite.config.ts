import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { headScript } from './build/head-script.ts'
import { leaveOut } from './build/leave-out.ts'
import { shakeVue } from './build/shake-vue.ts'

const server = process.env.HUIZHEN_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [
    vue(),
    shakeVue(),
    leaveOut(),
    headScript({
      pages: { '/room/': 'src/room/RoomPage.vue', '/g/': 'src/room/GuestPage.vue' },
      languages: { zh: 'src/i18n/zh.ts', en: 'src/i18n/en.ts' },
      begin: 'src/room/begin.ts',
    }),
  ],
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
    rolldownOptions: {
      output: {
        // Few files instead of many small ones: what every page needs, the socket, and the media library of a room.
        codeSplitting: {
          groups: [
            { name: 'media', test: /node_modules\/(mediasoup-client|h264-profile|sdp-transform|ua-parser|awaitqueue|supports-color)/, priority: 40 },
            { name: 'socket', test: /node_modules\/(socket\.io|engine\.io|@socket\.io)/, priority: 30 },
            { name: 'vendor', test: /node_modules\/(@vue|vue|vue-router|pinia|vue-i18n|@intlify)\//, priority: 20 },
            // A room's join begins with these, before the framework runs: nothing of it may be in here.
            { name: 'begin', test: /\/src\/(protocol\/|room\/(begin|measure)\.)/, priority: 15 },
            { name: 'ui', test: /\/src\/(ui|stores|api)\/[^/]+$/, priority: 10 },
          ],
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
    setupFiles: ['src/testing/setup.ts'],
    include: ['src/**/*.test.ts', 'build/**/*.test.ts'],
    restoreMocks: true,
  },
})
