import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { api, query } from '@/api/client'
import { useLive } from '@/stores/live'
import { dutyDays, datesOf, type DutyDay } from './calendar'
import type { Ask, Notice, RotaCalendar, Schedule } from './types'

/** One rota's calendar for a view, renewed when the server says that a rota changed. */
export function useRotaCalendar(schedule: Ref<Schedule | null>, view: Ref<'week' | 'month'>, date: Ref<string>) {
  const calendar = shallowRef<RotaCalendar | null>(null)
  const days = shallowRef<DutyDay[]>([])
  const error = ref<unknown>(null)
  let asked = 0

  async function load(): Promise<void> {
    const it = schedule.value
    if (!it) return
    const mine = ++asked
    const wanted = dutyDays(datesOf(view.value, date.value), it.layers[0]?.handover ?? '08:00', it.timeZone)
    const [first, last] = [wanted[0], wanted.at(-1)]
    if (!first || !last) return
    try {
      const span = query({ start: new Date(first.starts).toISOString(), end: new Date(last.ends).toISOString() })
      const reply = await api.get<RotaCalendar>(`/schedules/${it.id}/calendar${span}`)
      if (mine !== asked) return // a later view was asked for meanwhile
      calendar.value = reply
      days.value = wanted
      error.value = null
    } catch (caught) {
      if (mine === asked) error.value = caught
    }
  }

  watch([schedule, view, date], () => void load(), { immediate: true })
  onRotaPush(() => void load())
  return { calendar, days, error, load }
}

/** The reader has to say yes or no. */
export const waits = ({ allowed }: Ask): boolean => allowed.includes('agree') || allowed.includes('approve')

export function useAsks() {
  const asks = shallowRef<Ask[]>([])
  const load = async (): Promise<void> => { asks.value = await api.get<Ask[]>('/schedules/asks') }
  void load().catch(() => undefined) // the page's own error says what is wrong with the line
  onRotaPush(() => void load().catch(() => undefined))
  return { asks, load }
}

/** Announced gaps and hand-overs that are still open. */
export function useNotices() {
  const notices = shallowRef<Notice[]>([])
  const load = async (): Promise<void> => { notices.value = await api.get<Notice[]>('/schedules/notices') }
  void load().catch(() => undefined)
  onRotaPush(() => void load().catch(() => undefined))
  return { notices, load }
}

/** Does it whenever the server says that a rota changed, or the line is back. */
export function onRotaPush(then: () => void): void {
  const live = useLive()
  const ends = [live.on('rota', then), live.on('connected', then)]
  onScopeDispose(() => ends.forEach((end) => end()))
}
