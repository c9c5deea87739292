import { expect, it } from 'vitest'
import { localInput } from './localTime'

it('writes an instant as a field reads it again', () => {
  const at = new Date(2026, 10, 3, 8, 5).getTime()
  expect(localInput(at)).toBe('2026-11-03T08:05')
  expect(new Date(localInput(at)).getTime()).toBe(at)
})
