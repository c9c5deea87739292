import type { Plugin } from 'vite'

/** What vue-i18n does to look for an export that only some future Vue has: it touches the whole namespace. */
const PROBE = /if \(key in Vue\) \{\s*return Vue\[key\];\s*\}\s*else \{\s*return Vue\.getCurrentInstance\(\);\s*\}/

export function withoutProbe(code: string): string | null {
  return PROBE.test(code) ? code.replace(PROBE, 'return Vue.getCurrentInstance();') : null
}

/**
 * Lets the bundler drop the parts of Vue that nobody uses (a third of it).
 *
 * vue-i18n's `key in Vue` keeps every export alive. Fails the build when a newer vue-i18n no longer looks like this,
 * so that the size does not come back unseen.
 */
export function shakeVue(): Plugin {
  return {
    name: 'huizhen-shake-vue',
    apply: 'build',
    transform(code, id) {
      if (!id.includes('/vue-i18n/dist/')) return null
      const shaken = withoutProbe(code)
      if (shaken === null) throw new Error('vue-i18n has changed: look at build/shake-vue.ts')
      return { code: shaken, map: null }
    },
  }
}
