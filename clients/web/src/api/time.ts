import { computed, onScopeDispose, ref, type ComputedRef } from 'vue'

/** A clock that differs by less than this is believed: the server's `Date` header has whole seconds only. */
const BELIEVED_MS = 2_000

/** What the server's clock said at a moment of the page's own, which runs on evenly whatever is done to the computer's; null: nothing was told yet. */
let anchor: { server: number; mine: number } | null = null

/** Learns from one answer what time it is at the server. Times by this computer's clock. */
export function learnServerTime(dateHeader: string | null, sentAt: number, receivedAt: number): void {
  const told = dateHeader ? Date.parse(dateHeader) : NaN
  if (Number.isNaN(told)) return
  const difference = told + 500 - (sentAt + receivedAt) / 2
  anchor = { server: Date.now() + (Math.abs(difference) < BELIEVED_MS ? 0 : difference), mine: performance.now() }
}

/** Milliseconds since 1970 by the server's clock: all limits and rings are counted by it. */
export const serverNow = (): number => (anchor === null ? Date.now() : anchor.server + performance.now() - anchor.mine)

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
