import { expect, it } from 'vitest'
import { useSubmit } from './useSubmit'

it('does one thing at a time, keeps what went wrong, and forgets it at the next try', async () => {
  const { busy, error, submit } = useSubmit()
  const wrong = new Error('x')
  expect(await submit(() => Promise.reject(wrong))).toBe(false)
  expect([busy.value, error.value]).toEqual([false, wrong])
  let done: () => void = () => undefined
  const first = submit(() => new Promise<void>((resolve) => { done = resolve }))
  expect([busy.value, error.value]).toEqual([true, null])
  expect(await submit(() => Promise.reject(new Error('never begun')))).toBe(false)
  done()
  expect(await first).toBe(true)
  expect([busy.value, error.value]).toEqual([false, null])
})
