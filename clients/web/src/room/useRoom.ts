import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import {
  lineBroke, openMedia, openScreen, RoomError, verdict,
  type EndReason, type LocalMedia, type PreparedDevice, type Reading, type RoomCredentials, type Source, type Verdict,
} from '@/protocol'
import { makeClient, type Begun } from './begin'
import type { Measuring } from './measure'
import { SpeakerHold } from './speaker'

const QUALITY_EVERY_MS = 2_000
/** By then at the latest the rest of the page is loaded, whether media came or not. */
const SETTLED_MS = 1_000
/** Layers are changed at most this often: each change costs a key frame. */
const LAYERS_REST_MS = 1_500
/** A notice that needs no action goes by itself. */
const NOTICE_MS = 8_000

export interface RoomOptions {
  credentials: RoomCredentials
  media: Promise<LocalMedia>
  measuring: Measuring
  renew: () => Promise<RoomCredentials>
  prepared?: PreparedDevice
  begun?: Begun | null
}

/** One stay in a room, as reactive state. The client itself is never made reactive. */
export function useRoom(options: RoomOptions) {
  const { begun, measuring } = options
  const client = begun?.client ?? makeClient({ credentials: options.credentials, renew: options.renew, prepared: options.prepared })
  const snapshot = shallowRef(client.snapshot())
  const problem = shallowRef<RoomError | null>(begun?.problem ?? null)
  const ended = shallowRef<{ reason: EndReason; error: RoomError | null } | null>(begun?.ended ?? null)
  const speaker = ref<string | null>(null)
  const quality = shallowRef<Verdict>({ grade: 'unknown', cause: 'measuring', lossPercent: 0, uplinkPercent: null, roundTripMs: null })
  const mutedByChair = ref<Source | null>(null)
  /** The first picture is on its way: now there is time for everything else. */
  const settled = ref(false)
  const hold = new SpeakerHold()
  let previous: Reading | null = null
  let noticeTimer: ReturnType<typeof setTimeout> | undefined

  function complain(error: unknown): void {
    problem.value = RoomError.from(error)
    clearTimeout(noticeTimer)
    if (!problem.value.code.startsWith('media_')) noticeTimer = setTimeout(() => { problem.value = null }, NOTICE_MS)
  }

  /** Runs an action and shows its error; true when it worked. */
  async function attempt(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action()
      return true
    } catch (error) {
      // What the line broke under is done when it is back, and that it is down is on the screen.
      if (!lineBroke(error) || snapshot.value.phase !== 'reconnecting') complain(error)
      return false
    }
  }

  client.on('changed', (now) => { snapshot.value = now })
  const passed = (name: string): void => {
    if (name === 'connected') settled.value = true
    if (name === 'joined') setTimeout(() => { settled.value = true }, SETTLED_MS)
  }
  client.on('mark', (name) => {
    measuring.mark(name)
    passed(name)
  })
  if (begun) measuring.passed().forEach(passed)
  client.on('error', complain)
  client.on('mutedByChair', ({ source }) => { mutedByChair.value = source })
  client.on('ended', (how) => { ended.value = how })
  client.on('reduced', measuring.reduced)
  measuring.stats(() => client.stats())

  async function takeMedia(media: LocalMedia): Promise<void> {
    measuring.mark('media')
    if (ended.value) {
      media.audio?.stop()
      media.video?.stop()
      return
    }
    if (media.error) complain(media.error)
    const tracks: [Source, MediaStreamTrack | null][] = [['microphone', media.audio], ['camera', media.video]]
    await Promise.all(tracks.map(([source, track]) => track && attempt(() => client.publish(source, track))))
  }

  function start(): void {
    if (client.snapshot().phase === 'idle') client.join().catch(() => undefined) // told by `ended`
    void options.media.then(takeMedia)
  }

  const local = (source: Source) => snapshot.value.local.find((mine) => mine.source === source)
  const on = (source: Source) => computed(() => { const mine = local(source); return mine !== undefined && !mine.muted })
  const microphoneOn = on('microphone')
  const cameraOn = on('camera')
  const sharing = on('screen')

  /** Switches a microphone or camera; opens it when it was not there at all. */
  async function toggle(source: 'microphone' | 'camera'): Promise<void> {
    const mine = local(source)
    mutedByChair.value = null
    if (mine) {
      await attempt(() => client.setMuted(source, !mine.muted))
      return
    }
    const media = await openMedia({ audio: source === 'microphone', video: source === 'camera' })
    await takeMedia(media)
  }

  async function toggleSharing(): Promise<void> {
    if (local('screen')) await attempt(() => client.unpublish('screen'))
    else await attempt(async () => client.publish('screen', await openScreen()))
  }

  const layers = new Map<string, number>()
  let wanted = new Map<string, number>()
  let layerTimer: ReturnType<typeof setTimeout> | undefined

  /** Tells the server which layers are looked at, once things have come to rest. */
  function prefer(now: Map<string, number>): void {
    wanted = now
    layerTimer ??= setTimeout(() => {
      layerTimer = undefined
      for (const [consumerId, layer] of wanted) {
        if (layers.get(consumerId) === layer) continue
        layers.set(consumerId, layer)
        // A consumer that went away meanwhile needs no layer.
        client.preferLayer(consumerId, layer).catch(() => layers.delete(consumerId))
      }
    }, LAYERS_REST_MS)
  }

  /** The line is back: what was asked for meanwhile may have been lost with it. */
  watch(() => snapshot.value.phase, (phase, before) => { if (phase === 'joined' && before === 'reconnecting') prefer(wanted) })

  let speakerTimer: ReturnType<typeof setTimeout> | undefined
  function lookAtSpeaker(): void {
    clearTimeout(speakerTimer)
    const { speaker: now, peers } = snapshot.value
    const wait = hold.look(now, new Set(peers.map((peer) => peer.id)), performance.now())
    speaker.value = hold.shown
    if (wait !== null) speakerTimer = setTimeout(lookAtSpeaker, wait)
  }
  watch(snapshot, lookAtSpeaker)

  const timers = [
    setInterval(() => {
      if (snapshot.value.phase !== 'joined') return
      void client.reading(performance.now()).then((reading) => {
        quality.value = verdict(previous, reading)
        previous = reading
      }, () => undefined) // a transport that closes while it is read has no figures
    }, QUALITY_EVERY_MS),
  ]
  onScopeDispose(() => {
    timers.forEach(clearInterval)
    clearTimeout(noticeTimer)
    clearTimeout(layerTimer)
    clearTimeout(speakerTimer)
    void client.leave()
  })

  return {
    client, snapshot, settled, problem, ended, speaker, quality, mutedByChair, microphoneOn, cameraOn, sharing,
    prefer, start, toggle, toggleSharing, attempt, takeMedia,
    dismiss: () => { problem.value = null },
  }
}

export type Room = ReturnType<typeof useRoom>
