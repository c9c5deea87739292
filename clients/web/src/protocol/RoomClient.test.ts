import { describe, expect, it, vi } from 'vitest'
import { prepareDevice } from './device'
import { RoomError } from './errors'
import { consumerInfo, fakeDevice, FakeChannel, fakeTrack, joinReply, routerCapabilities } from './fake'
import { RoomClient, type RoomClientOptions } from './RoomClient'
import type { ChannelOptions } from './signaling'
import type { RoomSnapshot } from './told'
import type { JoinReply } from './wire'

function setUp(reply: JoinReply = joinReply(), options: Partial<RoomClientOptions> = {}) {
  let produced = 0
  const channel = new FakeChannel({ join: () => reply, produce: () => ({ id: `producer-${++produced}` }) })
  let line: ChannelOptions | null = null
  const client = new RoomClient({
    credentials: { token: 'token-1', roomId: 'c-1', role: 'requester', expiresAt: '', routerRtpCapabilities: routerCapabilities() },
    makeDevice: fakeDevice,
    makeChannel: (given) => {
      line = given
      return channel
    },
    ...options,
  })
  return { channel, client, line: () => line! }
}

/** Resolves with the first snapshot that fulfils the condition, now or later. */
function until(client: RoomClient, condition: (snapshot: RoomSnapshot) => boolean): Promise<RoomSnapshot> {
  if (condition(client.snapshot())) return Promise.resolve(client.snapshot())
  return new Promise((resolve) => {
    const stop = client.on('changed', (snapshot) => {
      if (!condition(snapshot)) return
      stop()
      resolve(snapshot)
    })
  })
}

async function joined(reply?: JoinReply, options?: Partial<RoomClientOptions>) {
  const set = setUp(reply, options)
  const joining = set.client.join()
  set.channel.connect()
  await joining
  return set
}

const PEER = { id: 'p-2', displayName: '王建国', role: 'expert' as const, producers: [{ id: 'a', kind: 'audio' as const, source: 'microphone' as const, paused: false }] }

describe('joining', () => {
  it('sends capabilities with the join and receives everything of the reply', async () => {
    const reply = joinReply({ peers: [PEER], consumers: [consumerInfo('k1', 'p-2', 'microphone'), consumerInfo('k2', 'p-2', 'camera')] })
    const { client, channel } = await joined(reply)
    const sent = await channel.requested('join')
    expect(sent.rtpCapabilities?.codecs?.length).toBeGreaterThan(0)
    const snapshot = await until(client, ({ tracks }) => tracks.length === 2)
    expect(snapshot.tracks.map(({ source, peerId }) => `${peerId} ${source}`)).toEqual(['p-2 microphone', 'p-2 camera'])
    expect(channel.sent.some(({ name }) => name === 'resumeConsumers')).toBe(false)
  })

  it('subscribes afterwards when the capabilities come only with the reply', async () => {
    const { channel, client } = setUp(joinReply(), { credentials: { token: 't', roomId: 'c-1', role: 'guest', expiresAt: '' } })
    channel.answers.subscribe = () => ({ consumers: [consumerInfo('k1', 'p-2', 'microphone')], dataConsumers: [] })
    const joining = client.join()
    channel.connect()
    await joining
    expect(await channel.requested('join')).toEqual({})
    expect((await until(client, ({ tracks }) => tracks.length === 1)).tracks[0]?.consumerId).toBe('k1')
  })

  it('publishes a track that was given before the room was joined, sound first', async () => {
    const { client, channel } = setUp()
    await client.publish('camera', fakeTrack('video'))
    await client.publish('microphone', fakeTrack('audio'))
    const joining = client.join()
    channel.connect()
    await joining
    expect((await channel.requested('produce', 1)).source).toBe('microphone')
    const camera = await channel.requested('produce', 2)
    expect(camera.source).toBe('camera')
    expect(camera.rtpParameters.encodings).toHaveLength(3)
  })

  it('does not publish what the token does not grant', async () => {
    const reply = joinReply()
    reply.grants.publish = ['microphone']
    const { client, channel } = await joined(reply)
    await client.publish('camera', fakeTrack('video'))
    await client.publish('microphone', fakeTrack('audio'))
    expect(channel.sent.filter(({ name }) => name === 'produce')).toHaveLength(1)
  })

  it('ends with the sentence of the server when the connection is refused', async () => {
    const { client, channel } = setUp()
    const joining = client.join()
    const refusal = RoomError.fromWire({ code: 'token_revoked', message: { zh: '链接已失效', en: 'The link has ended' } })
    channel.drop(true, refusal)
    await expect(joining).rejects.toMatchObject({ code: 'token_revoked', sentences: { zh: '链接已失效' } })
    expect(client.snapshot().phase).toBe('ended')
  })

  it('asks once for a new token when the old one has expired', async () => {
    const { client, channel, line } = setUp(joinReply(), {
      renew: () => Promise.resolve({ token: 'token-2', roomId: 'c-1', role: 'requester', expiresAt: '' }),
    })
    const joining = client.join()
    channel.drop(true, RoomError.fromWire({ code: 'token_expired' }))
    await expect.poll(() => channel.opened).toBe(2)
    expect(line().token()).toBe('token-2')
    channel.connect()
    await joining
  })
})

describe('in the room', () => {
  it('takes new consumers, lets them run, and drops closed ones', async () => {
    const { client, channel } = await joined()
    channel.say('peerJoined', { peer: PEER })
    channel.say('newConsumers', { consumers: [consumerInfo('k1', 'p-2', 'microphone'), consumerInfo('k2', 'p-2', 'camera')] })
    expect((await channel.requested('resumeConsumers')).consumerIds).toEqual(['k1', 'k2'])
    channel.say('consumerPaused', { consumerId: 'k2' })
    await until(client, ({ tracks }) => tracks.some(({ consumerId, paused }) => consumerId === 'k2' && paused))
    channel.say('consumerClosed', { consumerId: 'k1' })
    expect((await until(client, ({ tracks }) => tracks.length === 1)).tracks[0]?.consumerId).toBe('k2')
  })

  it('a consumer that closes while it is being made never appears', async () => {
    const { client, channel } = await joined()
    channel.say('newConsumers', { consumers: [consumerInfo('k1', 'p-2', 'camera'), consumerInfo('k2', 'p-2', 'microphone')] })
    channel.say('consumerClosed', { consumerId: 'k1' })
    await channel.requested('resumeConsumers')
    expect(client.snapshot().tracks.map(({ consumerId }) => consumerId)).toEqual(['k2'])
  })

  it('mutes by pausing here and at the server', async () => {
    const { client, channel } = await joined()
    const track = fakeTrack('audio')
    await client.publish('microphone', track)
    await client.setMuted('microphone', true)
    expect(track.enabled).toBe(false)
    expect(await channel.requested('pauseProducer')).toEqual({ producerId: 'producer-1' })
    await client.setMuted('microphone', false)
    expect(track.enabled).toBe(true)
    expect(await channel.requested('resumeProducer')).toEqual({ producerId: 'producer-1' })
  })

  it('really closes the camera while it is off, and opens it again', async () => {
    const second = fakeTrack('video')
    const { client } = await joined(undefined, { openCamera: () => Promise.resolve(second) })
    const first = fakeTrack('video')
    await client.publish('camera', first)
    await client.setMuted('camera', true)
    expect(first.stopped).toBe(true)
    expect(client.snapshot().local[0]).toMatchObject({ muted: true, track: null })
    await client.setMuted('camera', false)
    expect(client.snapshot().local[0]).toMatchObject({ muted: false, track: second })
  })

  it('shows that the chair muted us', async () => {
    const { client, channel } = await joined()
    await client.publish('microphone', fakeTrack('audio'))
    const muted = new Promise((resolve) => client.on('mutedByChair', resolve))
    channel.say('producerPaused', { producerId: 'producer-1', peerId: 'p-me', by: 'p-chair' })
    expect(await muted).toEqual({ source: 'microphone' })
    expect(client.snapshot().local[0]?.muted).toBe(true)
  })

  it('ends when the chair removes us, and stops the camera', async () => {
    const { client, channel } = await joined()
    const track = fakeTrack('video')
    await client.publish('camera', track)
    const ended = new Promise((resolve) => client.on('ended', resolve))
    channel.say('removed', { reason: 'removed' })
    expect(await ended).toEqual({ reason: 'removed', error: null })
    expect(track.stopped).toBe(true)
    expect(channel.closed).toBe(true)
  })

  it('restarts ICE when the server says that our media is lost', async () => {
    const reply = joinReply()
    const { channel } = await joined(reply)
    const transportId = reply.recvTransport!.id!
    channel.answers.restartIce = () => ({ iceParameters: { usernameFragment: 'u', password: 'p' } })
    channel.say('transportState', { transportId, state: 'failed' })
    expect(await channel.requested('restartIce')).toEqual({ transportId })
  })
})

describe('signaling lost', () => {
  it('resumes as the same peer: keeps its media, takes what is new, drops what is gone', async () => {
    const { client, channel, line } = await joined(joinReply({ consumers: [consumerInfo('k1', 'p-2', 'camera'), consumerInfo('k2', 'p-2', 'microphone')] }))
    const before = await until(client, ({ tracks }) => tracks.length === 2)
    channel.drop()
    await until(client, ({ phase }) => phase === 'reconnecting')
    expect(line().resumeToken()).toBe('resume-1')
    channel.answers.join = () => joinReply({
      resumed: true, resumeToken: 'resume-2', consumers: [consumerInfo('k2', 'p-2', 'microphone'), consumerInfo('k3', 'p-3', 'camera')],
    })
    channel.connect(true)
    const after = await until(client, ({ tracks }) => tracks.some(({ consumerId }) => consumerId === 'k3'))
    expect(after.phase).toBe('joined')
    expect(after.tracks.map(({ consumerId }) => consumerId)).toEqual(['k2', 'k3'])
    expect(after.tracks[0]?.track).toBe(before.tracks[1]?.track)
    expect(line().resumeToken()).toBe('resume-2')
  })

  it('starts afresh and publishes again when it came back too late', async () => {
    const { client, channel } = await joined()
    await client.publish('microphone', fakeTrack('audio'))
    channel.drop()
    channel.answers.join = () => joinReply({ resumed: false, peerId: 'p-new' })
    channel.connect(true)
    await channel.requested('produce', 2)
    expect(client.snapshot().peerId).toBe('p-new')
  })

  it('leaving is told to the server and is final', async () => {
    const { client, channel } = await joined()
    await client.leave()
    expect(channel.sent.at(-1)?.name).toBe('leave')
    expect(channel.closed).toBe(true)
    expect(client.snapshot().phase).toBe('ended')
    await client.leave()
    expect(channel.sent.filter(({ name }) => name === 'leave')).toHaveLength(1)
  })
})

describe('a device prepared beforehand', () => {
  const stored = (text: string | null) => ({ getItem: () => text })

  it('is used when the server still says the same', async () => {
    const prepared = prepareDevice(stored(JSON.stringify(routerCapabilities())), fakeDevice)!
    const device = await prepared.device
    expect(device.loaded).toBe(true)
    const make = vi.fn(fakeDevice)
    await joined(undefined, { prepared, makeDevice: make })
    expect(make).not.toHaveBeenCalled()
  })

  it('is left aside when the server says something else', async () => {
    const old = { ...routerCapabilities(), headerExtensions: [] }
    const prepared = prepareDevice(stored(JSON.stringify(old)), fakeDevice)!
    const make = vi.fn(fakeDevice)
    await joined(undefined, { prepared, makeDevice: make })
    expect(make).toHaveBeenCalledTimes(1)
  })

  it('is not there the first time, or when what was kept is damaged', () => {
    expect(prepareDevice(stored(null), fakeDevice)).toBeUndefined()
    expect(prepareDevice(stored('{'), fakeDevice)).toBeUndefined()
  })
})
