import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import { withoutProbe } from './shake-vue.ts'

it('knows the installed vue-i18n', () => {
  const path = createRequire(import.meta.url).resolve('vue-i18n').replace(/[^/]+$/, 'vue-i18n.mjs')
  const shaken = withoutProbe(readFileSync(path, 'utf8'))
  expect(shaken).not.toBeNull()
  expect(shaken).not.toContain('Vue[key]')
})

it('leaves other files alone', () => expect(withoutProbe('export const a = 1')).toBeNull())
