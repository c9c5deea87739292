import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { isUnused, UNUSED } from './leave-out.ts'

it.each(UNUSED)('%s is still where it was', (path) => expect(existsSync(join('node_modules', path))).toBe(true))

it('leaves out nothing that a browser can be given', () => {
  const device = readFileSync(join('node_modules', 'mediasoup-client/lib/Device.js'), 'utf8')
  const handlers = [...device.matchAll(/require\("\.\/handlers\/(\w+)"\)/g)].map((match) => match[1]!)
  expect(handlers).toContain('Chrome111')
  expect(handlers.filter((name) => isUnused(`/x/node_modules/mediasoup-client/lib/handlers/${name}.js`))).toEqual(['ReactNative106'])
})
