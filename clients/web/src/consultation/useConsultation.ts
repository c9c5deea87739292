import { computed, onScopeDispose, ref, watch, type Ref } from 'vue'
import { useConsultations, type Scope } from '@/stores/consultations'
import { useLive } from '@/stores/live'

/** While the live line is down the pages ask by themselves, this often. */
const POLL_MS = 10_000
/** A recording is finished some seconds after its room closed, without a push: look again so often, so many times. */
const SETTLE_MS = 3_000
const SETTLE_TRIES = 20
/** Several pushes in a row are one reading. */
const GATHER_MS = 200

/** A list costs the server more than one consult: between two readings of one there is so much rest. */
export const LIST_REST_MS = 1_000

/** Calls `reload` when something may have changed: after a push that `concerns` it, a reconnect, or in turns while the line is down. `restMs`: after a reading. */
export function useFreshness(reload: () => Promise<void>, concerns: (id: string, version: number) => boolean, restMs = 0): void {
  const live = useLive()
  let waiting: ReturnType<typeof setTimeout> | undefined
  let running = false
  let again = false
  let over = false
  let ended = -Infinity
  /** The first push of several starts the clock, so that a busy county never puts a reading off; one reading at a time. */
  function soon(): void {
    if (running) again = true
    else waiting ??= setTimeout(() => void look(), Math.max(GATHER_MS, ended + restMs - performance.now()))
  }
  async function look(): Promise<void> {
    waiting = undefined
    running = true
    await reload().finally(() => {
      running = false
      ended = performance.now()
      if (again && !over) soon()
      again = false
    })
  }
  const stops = [
    live.on('consultation', (push) => { if (concerns(push.id, push.version)) soon() }),
    live.on('ring', (push) => { if (concerns(push.consultationId, Infinity)) soon() }),
    live.on('ringEnded', (push) => { if (concerns(push.consultationId, Infinity)) soon() }),
    live.on('connected', soon),
  ]
  const poll = setInterval(() => { if (live.state !== 'up') void reload() }, POLL_MS)
  onScopeDispose(() => {
    over = true
    stops.forEach((stop) => stop())
    clearInterval(poll)
    clearTimeout(waiting)
  })
}

/** One consultation that stays true while it is looked at. */
export function useConsultation(id: Ref<string>) {
  const store = useConsultations()
  const error = ref<unknown>(null)
  const consultation = computed(() => store.byId.get(id.value) ?? null)

  async function reload(): Promise<void> {
    try {
      await store.read(id.value)
      error.value = null
    } catch (caught) {
      error.value = caught
    }
  }

  const settling = computed(() => consultation.value !== null && !['IN_SESSION', 'SUSPENDED'].includes(consultation.value.state)
    && consultation.value.recordings.some((recording) => recording.durationMs === null))
  let tries = 0
  let settle: ReturnType<typeof setTimeout> | undefined
  watch([settling, consultation], () => {
    clearTimeout(settle)
    if (settling.value && tries++ < SETTLE_TRIES) settle = setTimeout(() => void reload(), SETTLE_MS)
  }, { immediate: true })
  onScopeDispose(() => clearTimeout(settle))

  watch(id, () => void reload(), { immediate: true })
  useFreshness(reload, (changed, version) => changed === id.value && version > (consultation.value?.version ?? 0))
  return { consultation, error, reload }
}

/** A list of consultations that stays true while it is looked at. `states`: of these only. */
export function useConsultationList(scope: Scope, states: readonly string[] = [], most?: number) {
  const store = useConsultations()
  const ids = ref<string[] | null>(null)
  const error = ref<unknown>(null)
  const items = computed(() => ids.value?.flatMap((id) => store.byId.get(id) ?? []) ?? null)
  let asked = 0

  async function reload(): Promise<void> {
    const mine = ++asked
    try {
      const found = (await store.list(scope, states, most)).map((consultation) => consultation.id)
      if (mine !== asked) return // a later answer stands already
      ids.value = found
      error.value = null
    } catch (caught) {
      if (mine === asked) error.value = caught
    }
  }

  void reload()
  useFreshness(reload, () => true, LIST_REST_MS)
  return { items, error, reload }
}
