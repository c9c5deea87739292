import type { Plugin } from 'vite'

/** Parts of mediasoup-client that nobody needs: its tests' fakes, the handler for React Native, and the printing of its log. */
export const UNUSED = [
  'mediasoup-client/lib/handlers/FakeHandler.js',
  'mediasoup-client/lib/handlers/ReactNative106.js',
  'mediasoup-client/lib/test/fakeParameters.js',
  'fake-mediastreamtrack/lib/index.js',
  'debug/src/browser.js',
] as const

export const isUnused = (id: string): boolean => UNUSED.some((path) => id.replaceAll('\\', '/').endsWith(`/node_modules/${path}`))

/** `debug(name)` gives a function that prints what it is given; one that does not is all that its users ask for. */
const SILENT_LOG = 'module.exports = () => () => undefined'

/** Builds them as empty modules: the library is CommonJS, which no bundler can shake. Only a room waits for it, but a room waits. */
export function leaveOut(): Plugin {
  return {
    name: 'huizhen-leave-out',
    apply: 'build',
    load: (id) => (isUnused(id) ? (id.includes('/debug/') ? SILENT_LOG : 'module.exports = {}') : null),
  }
}
