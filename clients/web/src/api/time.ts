import { computed, onScopeDispose, ref, type ComputedRef } from 'vue'

/** A clock that differs by less than this is believed: the server's `Date` header has whole seconds only. */
const BELIEVED_MS = 2_000

let offset = 0

/** Learns from one answer how far this computer's clock is from the server's. */
export function learnServerTime(dateHeader: string | null, sentAt: number, receivedAt: number): void {
  const told = dateHeader ? Date.parse(dateHeader) : NaN
  if (Number.isNaN(told)) return
  const difference = told + 500 - (sentAt + receivedAt) / 2
  offset = Math.abs(difference) < BELIEVED_MS ? 0 : difference
}

/** Milliseconds since 1970 by the server's clock: all limits and rings are counted by it. */
export const serverNow = (): number => Date.now() + offset

const tick = ref(serverNow())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** The time, renewed once a second while somebody looks; one timer for the whole page. */
export function useNow(): ComputedRef<number> {
  tick.value = serverNow()
  if (users++ === 0) timer = setInterval(() => { tick.value = serverNow() }, 1000)
  onScopeDispose(() => { if (--users === 0) clearInterval(timer) })
  return computed(() => tick.value)
}
