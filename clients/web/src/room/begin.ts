/**
 * The join, begun before the framework runs: the page's head asks for the token and imports this at once, and by the
 * time the page is drawn the room is joined. Knows no view; `RoomPage` takes what was begun, or begins by itself.
 */
import type { Consultation } from '@/api/types'
import type { Head } from '@/head/start'
import {
  openMedia, prepareDevice, rememberCapabilities, RoomClient, RoomError, SocketChannel,
  type ChannelOptions, type EndReason, type LocalMedia, type PreparedDevice, type RoomClientOptions, type RoomCredentials,
} from '@/protocol'
import { startMeasuring, type Measuring } from './measure'

export type TokenReply = RoomCredentials & { consultation?: Consultation | null }

export interface Begun {
  id: string
  measuring: Measuring
  /** Null when it did not work: whoever asks again is told why. */
  reply: Promise<TokenReply | null>
  prepared: PreparedDevice | undefined
  media: Promise<LocalMedia>
  /** On its way into the room, where nobody has to be asked first; made before `reply` resolves. */
  client: RoomClient | null
  /** The page's way to a new token. */
  renew: (() => Promise<RoomCredentials>) | null
  /** What the client told before a view listened. */
  problem: RoomError | null
  ended: { reason: EndReason; error: RoomError | null } | null
}

const insideKey = (id: string) => `hz.room.${id}`

/** Nobody checks devices when it is urgent; and whoever was inside goes back in by itself after a reload. */
export function goesStraightIn(id: string, consultation: Consultation | null | undefined): boolean {
  return consultation?.kind === 'urgent' || sessionStorage.getItem(insideKey(id)) !== null
}

export const rememberInside = (id: string): void => sessionStorage.setItem(insideKey(id), '1')
export const forgetInside = (id: string): void => sessionStorage.removeItem(insideKey(id))

/** A client that opens its camera again after it was switched off. */
export function makeClient(options: Omit<RoomClientOptions, 'openCamera'>): RoomClient {
  return new RoomClient({
    ...options,
    openCamera: async () => {
      const { video, error } = await openMedia({ audio: false, video: true })
      if (!video) throw error ?? RoomError.local('media_failed')
      return video
    },
  })
}

function begin(room: NonNullable<Head['room']>): Begun {
  const scriptAt = performance.now()
  const reply = room.entry.then((entry) => (entry ?? null) as TokenReply | null, () => null)

  // The line is opened while the token is still on its way; it greets the server with it.
  let asked: ChannelOptions | null = null
  const channel = new SocketChannel({
    token: () => asked?.token() ?? reply.then((answer) => answer?.token ?? Promise.reject(RoomError.local('not_joined'))),
    resumeToken: () => asked?.resumeToken() ?? null,
  })
  channel.open()
  const prepared = prepareDevice(localStorage)
  const begun: Begun = {
    id: room.id, measuring: startMeasuring(scriptAt), prepared, media: openMedia({ audio: true, video: true }),
    client: null, renew: null, problem: null, ended: null,
    reply: reply.then((answer) => {
      if (!answer || !goesStraightIn(room.id, answer.consultation)) {
        channel.close()
        return answer
      }
      begun.measuring.mark('token')
      rememberCapabilities(localStorage, answer.routerRtpCapabilities)
      const client = begun.client = makeClient({
        credentials: answer, prepared,
        renew: () => begun.renew?.() ?? Promise.reject(RoomError.local('not_joined')),
        makeChannel: (options) => {
          asked = options
          return channel
        },
      })
      client.on('mark', (name) => begun.measuring.mark(name))
      client.on('error', (error) => { begun.problem = error })
      client.on('ended', (how) => { begun.ended = how })
      client.join().catch(() => undefined) // told by `ended`
      return answer
    }),
  }
  return begun
}

let begun = window.hzHead?.room ? begin(window.hzHead.room) : null

/** What was begun for this room; there is one, for the page that was opened first. */
export function takeBegun(id: string): Begun | null {
  const found = begun?.id === id ? begun : null
  if (found) begun = null
  return found
}
