import { detectDevice, Device } from 'mediasoup-client'
import { Chrome111 } from 'mediasoup-client/handlers/Chrome111'
import type { RtpCapabilities } from 'mediasoup-client/types'
import { RoomError } from './errors'
import { engineHints, handlerName } from './handler'
import { roaming } from './roaming'

export interface PreparedDevice {
  capabilities: RtpCapabilities
  device: Promise<Device>
}

const STORED = 'hz.router'

/** Throws RoomError `unsupported_browser` where mediasoup-client has no handler for it. */
export function makeBrowserDevice(): Device {
  try {
    const name = handlerName(engineHints()) ?? detectDevice()
    return new Device(name === 'Chrome111' ? { handlerFactory: roaming(Chrome111.createFactory({})) } : { handlerName: name })
  } catch (error) {
    throw RoomError.local('unsupported_browser', error instanceof Error ? error.message : '')
  }
}

/**
 * Loads a device by the capabilities that the server gave last time: they are the same for every room and hardly ever
 * change, and asking the browser for its codecs takes as long as asking the server for a token.
 */
export function prepareDevice(storage: Pick<Storage, 'getItem'>, make: () => Device = makeBrowserDevice): PreparedDevice | undefined {
  try {
    const capabilities = JSON.parse(storage.getItem(STORED) ?? 'null') as RtpCapabilities | null
    if (!capabilities) return undefined
    const device = make()
    const loading = device.load({ routerRtpCapabilities: capabilities }).then(() => device)
    loading.catch(() => undefined) // told to whoever joins with it
    return { capabilities, device: loading }
  } catch {
    return undefined // loaded afresh with what the server says
  }
}

export function rememberCapabilities(storage: Pick<Storage, 'setItem'>, capabilities: RtpCapabilities | undefined): void {
  if (capabilities) storage.setItem(STORED, JSON.stringify(capabilities))
}
