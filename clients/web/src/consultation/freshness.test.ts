import { createPinia, setActivePinia } from 'pinia'
import { afterEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import type { ConsultationPush } from '@/api/events'
import { useLive } from '@/stores/live'
import { useFreshness } from './useConsultation'

afterEach(() => { vi.useRealTimers() })

it.each([[0, 6, 9], [1000, 2, 4]])('reads again in a county whose pushes never pause, one reading at a time, with %d ms of rest', async (rest, least, mostReadings) => {
  vi.useFakeTimers()
  setActivePinia(createPinia())
  let push: (push: ConsultationPush) => void = () => undefined
  vi.spyOn(useLive(), 'on').mockImplementation(((event: string, then: never) => {
    if (event === 'consultation') push = then
    return () => undefined
  }) as never)
  let [running, most, readings] = [0, 0, 0]
  const reload = async () => {
    readings++
    most = Math.max(most, ++running)
    await new Promise((done) => { setTimeout(done, 500) })
    running--
  }
  const scope = effectScope()
  scope.run(() => useFreshness(reload, () => true, rest))
  for (let pushed = 0; pushed < 100; pushed++) {
    push({ id: 'con-1', version: 1, state: 'OFFERED' } as ConsultationPush)
    await vi.advanceTimersByTimeAsync(50)
  }
  scope.stop()
  expect([readings >= least, readings <= mostReadings, most]).toEqual([true, true, 1])
})
