/** A voice note from the microphone: bounded in time, and the microphone is given back at its end. */
import { onScopeDispose, ref } from 'vue'
import { VOICE_S } from './files'

/** Best first; Safari before 18.4 has only the last. */
const KINDS = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4'] as const
const ENDINGS: Record<string, string> = { 'audio/webm': 'webm', 'audio/ogg': 'ogg', 'audio/mp4': 'm4a' }
/** Enough for speech: two minutes are 480 kB. */
const BITS = 32_000
const TICK_MS = 200

export type RecorderState = 'idle' | 'asking' | 'recording'
export type RecorderFault = 'refused' | 'missing' | 'unable' | 'broken'

const faultOf = (error: unknown): RecorderFault => {
  const name = error instanceof DOMException ? error.name : ''
  return name === 'NotAllowedError' ? 'refused' : name === 'NotFoundError' ? 'missing' : 'broken'
}

/** `made` is given the note, named after `label`; nothing that was discarded or empty. */
export function useRecorder(label: () => string, made: (file: File) => void) {
  const state = ref<RecorderState>('idle')
  const fault = ref<RecorderFault | null>(null)
  const seconds = ref(0)
  const kind = typeof MediaRecorder === 'undefined' ? undefined : KINDS.find((one) => MediaRecorder.isTypeSupported(one))
  let recorder: MediaRecorder | null = null
  let timer: ReturnType<typeof setInterval> | undefined
  let gone = false

  function release(stream: MediaStream): void {
    clearInterval(timer)
    stream.getTracks().forEach((track) => track.stop())
    recorder = null
    state.value = 'idle'
  }

  function begin(stream: MediaStream): void {
    const parts: Blob[] = []
    recorder = new MediaRecorder(stream, { mimeType: kind, audioBitsPerSecond: BITS })
    recorder.ondataavailable = ({ data }) => parts.push(data)
    recorder.onerror = () => { fault.value = 'broken' }
    recorder.onstop = () => {
      const type = (kind ?? '').split(';')[0] ?? ''
      const data = new Blob(parts, { type })
      release(stream)
      if (!gone && data.size > 0) made(new File([data], `${label()}.${ENDINGS[type]}`, { type }))
    }
    recorder.start()
    const from = performance.now()
    seconds.value = 0
    state.value = 'recording'
    timer = setInterval(() => {
      seconds.value = Math.min(VOICE_S, Math.floor((performance.now() - from) / 1000))
      if (seconds.value >= VOICE_S) stop()
    }, TICK_MS)
  }

  async function start(): Promise<void> {
    fault.value = null
    const devices = navigator.mediaDevices as MediaDevices | undefined // there are none on an address without https
    if (!kind || !devices) {
      fault.value = 'unable'
      return
    }
    state.value = 'asking'
    try {
      const stream = await devices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } })
      if (gone) release(stream)
      else begin(stream)
    } catch (error) {
      fault.value = faultOf(error)
      state.value = 'idle'
    }
  }

  function stop(): void {
    if (recorder?.state === 'recording') recorder.stop()
  }

  onScopeDispose(() => {
    gone = true
    stop()
  })
  return { state, fault, seconds, start, stop }
}
