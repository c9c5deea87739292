import type { Plugin } from 'vite'

/** Parts of mediasoup-client that no browser runs: its tests' fakes, and the handler for React Native. */
export const UNUSED = [
  'mediasoup-client/lib/handlers/FakeHandler.js',
  'mediasoup-client/lib/handlers/ReactNative106.js',
  'mediasoup-client/lib/test/fakeParameters.js',
  'fake-mediastreamtrack/lib/index.js',
] as const

export const isUnused = (id: string): boolean => UNUSED.some((path) => id.replaceAll('\\', '/').endsWith(`/node_modules/${path}`))

/** Builds them as empty modules: the library is CommonJS, which no bundler can shake. Only a room waits for it, but a room waits. */
export function leaveOut(): Plugin {
  return {
    name: 'huizhen-leave-out',
    apply: 'build',
    load: (id) => (isUnused(id) ? 'module.exports = {}' : null),
  }
}
