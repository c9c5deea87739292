import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { durationOf, follow, TransportClock, type Recording } from './timeline'

/** Players that load are waited for this long; then the others go on without them. */
const PATIENCE_MS = 4_000

/** Plays all tracks of a recording on one clock. Players register themselves by track id. */
export function usePlayback(recording: Ref<Recording | null>) {
  const clock = shallowRef(new TransportClock(0))
  const position = ref(0)
  const playing = ref(false)
  const waiting = ref(false)
  const players = new Map<string, HTMLMediaElement>()
  const durationMs = computed(() => (recording.value ? durationOf(recording.value) : 0))
  let waitingSince: number | null = null
  let frame = 0

  watch(recording, () => {
    clock.value = new TransportClock(durationMs.value)
    position.value = 0
    playing.value = false
  }, { immediate: true })

  function bring(now: number): boolean {
    let ready = true
    for (const track of recording.value?.tracks ?? []) {
      const player = players.get(track.trackId)
      if (player && !player.error) ready = follow(player, track, position.value, playing.value && !waiting.value) && ready
    }
    if (ready) waitingSince = null
    else waitingSince ??= now
    return ready || now - (waitingSince ?? now) > PATIENCE_MS
  }

  function step(): void {
    const now = performance.now()
    position.value = clock.value.position(now)
    const ready = bring(now)
    waiting.value = playing.value && !ready
    if (waiting.value) clock.value.hold(now)
    else if (playing.value) clock.value.run(now)
    if (playing.value && position.value >= durationMs.value) pause()
    frame = playing.value ? requestAnimationFrame(step) : 0
  }

  function play(): void {
    playing.value = true
    clock.value.run(performance.now())
    if (!frame) step()
  }

  function pause(): void {
    playing.value = false
    clock.value.hold(performance.now())
    position.value = clock.value.position(performance.now())
    bring(performance.now())
  }

  function seek(positionMs: number): void {
    clock.value.seek(positionMs, performance.now())
    position.value = clock.value.position(performance.now())
    if (!playing.value) bring(performance.now())
  }

  function register(trackId: string, element: unknown): void {
    if (element instanceof HTMLMediaElement) players.set(trackId, element)
    else players.delete(trackId)
  }

  onScopeDispose(() => cancelAnimationFrame(frame))
  return { position, playing, waiting, durationMs, play, pause, seek, register, toggle: () => (playing.value ? pause() : play()) }
}
