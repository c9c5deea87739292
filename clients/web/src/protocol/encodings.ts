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

/** Three encodings of 720p load an old clinic PC; up to four logical cores get 540p at 24 frames/s, which still has three layers. */
export function cameraConstraints(cores: number, deviceId?: string): MediaTrackConstraints {
  const size = cores > 4 ? { width: 1280, height: 720, rate: 30 } : { width: 960, height: 540, rate: 24 }
  return {
    width: { ideal: size.width },
    height: { ideal: size.height },
    frameRate: { ideal: size.rate, max: 30 },
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
        codecOptions: { opusDtx: true, opusFec: true, opusStereo: false },
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
