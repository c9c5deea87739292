/** Opening cameras, microphones and screens; every failure becomes a RoomError that says what to do. */
import { cameraConstraints, microphoneConstraints } from './encodings'
import { RoomError, type LocalCode } from './errors'

const CODES: Record<string, LocalCode> = {
  NotAllowedError: 'media_denied',
  SecurityError: 'media_denied',
  NotFoundError: 'media_missing',
  OverconstrainedError: 'media_missing',
  NotReadableError: 'media_busy',
  AbortError: 'media_busy',
}

/** Maps what getUserMedia throws (Media Capture and Streams, section 10.2) to our codes. */
export function mediaError(error: unknown): RoomError {
  if (error instanceof RoomError) return error
  const name = error instanceof Error || error instanceof DOMException ? error.name : ''
  return RoomError.local(CODES[name] ?? 'media_failed', name)
}

export interface LocalMedia {
  audio: MediaStreamTrack | null
  video: MediaStreamTrack | null
  /** What could not be opened, when the other kind could. */
  error: RoomError | null
}

export interface MediaWishes {
  audio: boolean
  video: boolean
  microphoneId?: string
  cameraId?: string
}

/** Devices as the page asks for them; a test passes its own. */
export type MediaDevicesLike = Pick<MediaDevices, 'getUserMedia' | 'getDisplayMedia' | 'enumerateDevices'>

function devices(): MediaDevicesLike {
  if (!('mediaDevices' in navigator) || !navigator.mediaDevices) throw RoomError.local('media_insecure')
  return navigator.mediaDevices
}

function constraints(wishes: MediaWishes): MediaStreamConstraints {
  const cores = typeof navigator === 'undefined' ? 4 : (navigator.hardwareConcurrency ?? 4)
  return {
    audio: wishes.audio ? microphoneConstraints(wishes.microphoneId) : false,
    video: wishes.video ? cameraConstraints(cores, wishes.cameraId) : false,
  }
}

/**
 * Opens both with one question to the user; when that fails because one of them is missing or taken, opens what is left:
 * a doctor without a camera can still speak. Never rejects; the reason is in `error`.
 */
export async function openMedia(wishes: MediaWishes, from?: MediaDevicesLike): Promise<LocalMedia> {
  const result: LocalMedia = { audio: null, video: null, error: null }
  if (!wishes.audio && !wishes.video) return result
  try {
    const source = from ?? devices()
    try {
      return { ...result, ...tracks(await source.getUserMedia(constraints(wishes))) }
    } catch (error) {
      result.error = mediaError(error)
      if (!wishes.audio || !wishes.video) return result
    }
    for (const part of [
      { ...wishes, video: false },
      { ...wishes, audio: false },
    ]) {
      try {
        const opened = tracks(await source.getUserMedia(constraints(part)))
        result.audio ??= opened.audio
        result.video ??= opened.video
      } catch (error) {
        result.error = mediaError(error)
      }
    }
  } catch (error) {
    result.error = mediaError(error)
  }
  return result
}

function tracks(stream: MediaStream): Pick<LocalMedia, 'audio' | 'video'> {
  return { audio: stream.getAudioTracks()[0] ?? null, video: stream.getVideoTracks()[0] ?? null }
}

/** Asks for a screen or window; the text in it must stay sharp. */
export async function openScreen(from?: MediaDevicesLike): Promise<MediaStreamTrack> {
  try {
    const stream = await (from ?? devices()).getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false })
    const [track] = stream.getVideoTracks()
    if (!track) throw RoomError.local('share_cancelled')
    track.contentHint = 'detail'
    return track
  } catch (error) {
    if (error instanceof RoomError) throw error
    throw error instanceof Error && error.name === 'NotAllowedError' ? RoomError.local('share_cancelled') : mediaError(error)
  }
}

export interface DeviceChoice {
  id: string
  label: string
}

export async function listDevices(from?: MediaDevicesLike): Promise<{ microphones: DeviceChoice[]; cameras: DeviceChoice[] }> {
  const all = await (from ?? devices()).enumerateDevices()
  const of = (kind: MediaDeviceKind) =>
    all.filter((device) => device.kind === kind && device.deviceId).map((device) => ({ id: device.deviceId, label: device.label }))
  return { microphones: of('audioinput'), cameras: of('videoinput') }
}

/** Root mean square of one block of samples in -1..1, as 0..1 on a scale on which ordinary speech fills more than half. */
export function levelOf(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const decibels = 20 * Math.log10(Math.sqrt(sum / Math.max(1, samples.length)) || 1e-6)
  return Math.min(1, Math.max(0, (decibels + 60) / 50))
}

/** Reports the level of a track about ten times a second until the returned function is called. */
export function watchLevel(track: MediaStreamTrack, report: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = new AnalyserNode(context, { fftSize: 1024 })
  const source = context.createMediaStreamSource(new MediaStream([track]))
  source.connect(analyser)
  void context.resume()
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    report(levelOf(samples))
  }, 100)
  return () => {
    clearInterval(timer)
    source.disconnect()
    void context.close()
  }
}
