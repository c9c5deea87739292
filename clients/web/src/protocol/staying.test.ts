/** Staying connected: cuts of the line, of media and of both, and changes of the network. */
import { describe, expect, it } from 'vitest'
import { RoomError } from './errors'
import { consumerInfo, fakeDevice, FakeChannel, fakeTrack, joinReply, routerCapabilities } from './fake'
import { watchNetwork, type NetworkEvent, type NetworkSources } from './network'
import { RoomClient } from './RoomClient'
import type { JoinReply } from './wire'

async function inRoom(reply: JoinReply = joinReply()) {
  let produced = 0
  const channel = new FakeChannel({
    join: () => reply,
    produce: () => ({ id: `producer-${++produced}` }),
    restartIce: () => ({ iceParameters: { usernameFragment: 'u', password: 'p' } }),
  })
  let network: (event: NetworkEvent) => void = () => undefined
  let watching = true
  const client = new RoomClient({
    credentials: { token: 't', roomId: 'c-1', role: 'requester', expiresAt: '', routerRtpCapabilities: routerCapabilities() },
    makeDevice: fakeDevice,
    makeChannel: () => channel,
    network: (report) => {
      network = report
      return () => { watching = false }
    },
  })
  const errors: RoomError[] = []
  client.on('error', (error) => errors.push(error))
  const joining = client.join()
  channel.connect()
  await joining
  const count = (name: string) => channel.sent.filter((one) => one.name === name).length
  const comeBack = (change: Partial<JoinReply> = {}) => {
    channel.answers.join = () => joinReply({ ...reply, resumed: true, resumeToken: 'resume-2', ...change })
    channel.connect(true)
  }
  return { channel, client, errors, count, comeBack, network: (event: NetworkEvent) => network(event), watching: () => watching }
}

describe('signaling cut', () => {
  it('tells a mute that fell into the cut when the line is back, and shows no error for it', async () => {
    const { client, channel, errors, comeBack } = await inRoom()
    await client.publish('microphone', fakeTrack('audio'))
    channel.drop()
    await client.setMuted('microphone', true).catch(() => undefined)
    expect(client.snapshot().local[0]?.muted).toBe(true)
    comeBack()
    expect(await channel.requested('pauseProducer')).toEqual({ producerId: 'producer-1' })
    expect(errors).toEqual([])
  })

  it('closes what was stopped and publishes what was opened during the cut', async () => {
    const { client, channel, comeBack } = await inRoom()
    await client.publish('screen', fakeTrack('video'))
    channel.drop()
    await client.unpublish('screen').catch(() => undefined)
    await client.publish('microphone', fakeTrack('audio')).catch(() => undefined)
    comeBack()
    expect(await channel.requested('closeProducer')).toEqual({ producerId: 'producer-1' })
    expect((await channel.requested('produce', 2)).source).toBe('microphone')
  })

  it('takes what its tracks were given while it was away', async () => {
    const reply = joinReply({ consumers: [consumerInfo('k1', 'p-2', 'camera')] })
    const { client, channel, comeBack } = await inRoom(reply)
    await expect.poll(() => client.snapshot().tracks.length).toBe(1)
    channel.drop()
    comeBack({ consumers: [{ ...consumerInfo('k1', 'p-2', 'camera'), allotted: 'paused' }], activeSpeaker: 'p-2' })
    await expect.poll(() => client.snapshot().tracks[0]?.share).toBe('paused')
    expect(client.snapshot().speaker).toBe('p-2')
  })

  it('asks anew when joining again is not answered', async () => {
    const { channel } = await inRoom()
    channel.drop()
    channel.answers.join = () => { throw Object.assign(RoomError.local('request_timeout'), { message: {} }) }
    channel.connect(true)
    await expect.poll(() => channel.checked).toBe(1)
  })
})

describe('media cut', () => {
  it('restarts ICE when the server hears us no more, once at a time', async () => {
    const reply = joinReply()
    const { channel, count } = await inRoom(reply)
    const transportId = reply.recvTransport!.id!
    for (const state of ['failed', 'failed']) channel.say('transportState', { transportId, state })
    await channel.requested('restartIce')
    await new Promise((resolve) => setTimeout(resolve))
    expect(count('restartIce')).toBe(1)
  })

  it('an ICE restart that the line swallowed is asked for again when it is back', async () => {
    const reply = joinReply()
    const { channel, count, errors, comeBack } = await inRoom(reply)
    channel.drop()
    channel.say('transportState', { transportId: reply.recvTransport!.id!, state: 'failed' })
    await new Promise((resolve) => setTimeout(resolve))
    expect(count('restartIce')).toBe(0)
    comeBack()
    expect(await channel.requested('restartIce')).toEqual({ transportId: reply.recvTransport!.id })
    expect(errors).toEqual([])
  })
})

describe('another network', () => {
  it('makes sure of the line and restarts ICE of what was connected', async () => {
    const reply = joinReply({ consumers: [consumerInfo('k1', 'p-2', 'camera')] })
    const { client, channel, network, watching } = await inRoom(reply)
    await expect.poll(() => client.snapshot().tracks.length).toBe(1)
    network('changed')
    expect(channel.checked).toBe(1)
    await client.leave()
    expect(watching()).toBe(false)
    network('changed')
    expect(channel.checked).toBe(1)
  })

  it('only asks the line when nothing is known', async () => {
    const { channel, network, count } = await inRoom()
    network('doubt')
    expect(channel.checked).toBe(1)
    expect(count('restartIce')).toBe(0)
  })
})

describe('watchNetwork', () => {
  function sources() {
    const connection = Object.assign(new EventTarget(), { type: 'wifi' })
    const view = Object.assign(new EventTarget(), { visibilityState: 'hidden' })
    const made = { window: new EventTarget(), document: view, connection } satisfies NetworkSources
    const heard: NetworkEvent[] = []
    return { ...made, view, heard, stop: watchNetwork((event) => heard.push(event), made) }
  }

  it('tells another kind of network, not the rate of the same one', () => {
    const { connection, heard } = sources()
    connection.dispatchEvent(new Event('change'))
    connection.type = 'cellular'
    connection.dispatchEvent(new Event('change'))
    connection.dispatchEvent(new Event('change'))
    expect(heard).toEqual(['changed'])
  })

  it('tells online, offline and coming back to the front, until stopped', () => {
    const { window, view, heard, stop } = sources()
    window.dispatchEvent(new Event('offline'))
    window.dispatchEvent(new Event('online'))
    view.dispatchEvent(new Event('visibilitychange'))
    view.visibilityState = 'visible'
    view.dispatchEvent(new Event('visibilitychange'))
    stop()
    window.dispatchEvent(new Event('online'))
    expect(heard).toEqual(['doubt', 'changed', 'doubt'])
  })
})

describe('what the room tells', () => {
  it('keeps what a thin line took from a track, until it is back', async () => {
    const { client, channel } = await inRoom(joinReply({ consumers: [{ ...consumerInfo('k1', 'p-2', 'ultrasound'), allotted: 'reduced' }] }))
    await expect.poll(() => client.snapshot().tracks[0]?.share).toBe('reduced')
    const told: unknown[] = []
    client.on('reduced', ({ state, peerId, source }) => told.push([state, peerId, source]))
    const say = (state: 'paused' | 'full', keyFramesOnly = false) =>
      channel.say('consumerReduced', { consumerId: 'k1', reason: 'bandwidth', state, spatialLayer: null, temporalLayer: null, keyFramesOnly })
    say('paused', true)
    expect(client.snapshot().tracks[0]).toMatchObject({ share: 'paused', stills: true })
    say('full')
    expect(client.snapshot().tracks[0]).toMatchObject({ share: 'full', stills: false })
    channel.say('consumerReduced', { consumerId: 'gone', reason: 'bandwidth', state: 'paused', spatialLayer: null, temporalLayer: null })
    expect(told).toEqual([['paused', 'p-2', 'ultrasound'], ['full', 'p-2', 'ultrasound'], ['paused', undefined, undefined]])
  })

  it('keeps who speaks and how each line is, and forgets who left', async () => {
    const { client, channel } = await inRoom(joinReply({ activeSpeaker: 'p-2' }))
    expect(client.snapshot().speaker).toBe('p-2')
    const quality = (peerId: string, mos: number) => ({ peerId, audio: { mos }, video: null, cause: { code: 'good' as const, values: {} } })
    channel.say('quality', { peers: [quality('p-2', 4), quality('p-me', 4.3)] })
    channel.say('quality', { peers: [quality('p-2', 3)] })
    expect(client.snapshot().quality.map(({ peerId, audio }) => `${peerId} ${audio?.mos}`)).toEqual(['p-2 3', 'p-me 4.3'])
    channel.say('peerLeft', { peerId: 'p-2', reason: 'left' })
    channel.say('activeSpeaker', { peerId: null })
    expect(client.snapshot()).toMatchObject({ speaker: null, quality: [{ peerId: 'p-me' }] })
  })
})
