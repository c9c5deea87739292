import { expect, it } from 'vitest'
import { safeNext } from './next'

it.each([
  ['/c/abc?x=1', '/c/abc?x=1'], ['//evil.example', '/'], ['/\\evil.example', '/'], ['https://evil.example', '/'], [undefined, '/'], ['/login', '/'],
])('goes from %s to %s', (next, path) => expect(safeNext(next)).toBe(path))
