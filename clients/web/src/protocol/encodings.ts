import type { ProducerOptions, RtpEncodingParameters } from 'mediasoup-client/types'
import type { Source } from './wire'

/** Bits per second. The smallest layer survives a 300 kbit/s line beside sound and ECG. */
const LAYERS: RtpEncodingParameters[] = [
  { scaleResolutionDownBy: 4, maxBitrate: 120_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 2, maxBitrate: 400_000, scalabilityMode: 'L1T3' },
  { scaleResolutionDownBy: 1, maxBitrate: 1_200_000, scalabilityMode: 'L1T3' },
]
/** Text and images must stay legible, so one layer with room; frames matter less. */
const SCREEN_BITRATE = 2_500_000
/** Speech with in-band FEC; DTX makes silence nearly free on a thin line. */
const AUDIO_BITRATE = 32_000

/** WebRTC itself sends fewer simulcast layers for small pictures (libwebrtc kSimulcastFormats): three need 960x540. */
export function cameraEncodings(width: number, height: number): RtpEncodingParameters[] {
  const pixels = width * height
  if (pixels >= 960 * 540) return LAYERS.map((layer) => ({ ...layer }))
  if (pixels >= 480 * 270) {
    return [
      { scaleResolutionDownBy: 2, maxBitrate: 150_000, scalabilityMode: 'L1T3' },
      { scaleResolutionDownBy: 1, maxBitrate: 700_000, scalabilityMode: 'L1T3' },
    ]
  }
  return [{ maxBitrate: 250_000, scalabilityMode: 'L1T3' }]
}

/** Several encodings at once are what loads a clinic's PC most; [more logical cores than, width, height, frames/s]. */
const SIZES = [
  [4, 1280, 720, 30],
  [2, 960, 540, 24],
  [0, 640, 360, 20],
] as const

export function cameraConstraints(cores: number, deviceId?: string): MediaTrackConstraints {
  const [, width, height, rate] = SIZES.find(([more]) => cores > more) ?? SIZES[2]
  return {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: rate, max: 30 },
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  }
}

export function microphoneConstraints(deviceId?: string): MediaTrackConstraints {
  return {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  }
}

/** How a track of this source is produced. `track` must be live. */
export function produceOptions(source: Source, track: MediaStreamTrack): ProducerOptions {
  const common = { track, stopTracks: false, appData: { source } }
  switch (source) {
    case 'microphone':
      return {
        ...common,
        codecOptions: { opusDtx: true, opusFec: true, opusNack: true, opusStereo: false },
        encodings: [{ maxBitrate: AUDIO_BITRATE, priority: 'high', networkPriority: 'high' }],
      }
    case 'camera': {
      const { width = 640, height = 480 } = track.getSettings()
      return { ...common, encodings: cameraEncodings(width, height), codecOptions: { videoGoogleStartBitrate: 600 } }
    }
    case 'screen':
    case 'ultrasound':
      return { ...common, encodings: [{ maxBitrate: SCREEN_BITRATE }], codecOptions: { videoGoogleStartBitrate: 1000 } }
  }
}
