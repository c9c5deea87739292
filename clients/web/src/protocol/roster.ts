/** Who is in the room and what each publishes, kept from the join reply and the server's events. No I/O. */
import type { ChatMessage, JoinReply, PeerInfo, PeerQuality, ProducerInfo, RecordingState, Seconds, ServerEvents } from './wire'

/** The server keeps as many; older messages stay on its side. */
const CHAT_KEPT = 100

export class Roster {
  private readonly peers = new Map<string, PeerInfo>()
  private messages: ChatMessage[] = []
  private readonly rated = new Map<string, PeerQuality>()
  /** Whose voice is heard most, maybe our own; kept through silence. */
  speaker: string | null = null
  recording: RecordingState = { state: 'off', startedAt: null, recordingId: null }
  startedAt: Seconds | null = null

  /** Takes the whole present state of a join reply. */
  reset(reply: Pick<JoinReply, 'peers' | 'chat' | 'recording' | 'startedAt' | 'activeSpeaker' | 'quality'>): void {
    this.peers.clear()
    this.rated.clear()
    this.speaker = reply.activeSpeaker ?? null
    this.rate(reply.quality ?? [])
    for (const peer of reply.peers) this.peers.set(peer.id, clone(peer))
    this.messages = reply.chat.slice(-CHAT_KEPT)
    this.recording = reply.recording
    this.startedAt = reply.startedAt
  }

  /** Applies one server event; true when something that is seen has changed. */
  apply<K extends keyof ServerEvents>(name: K, payload: ServerEvents[K]): boolean {
    const apply = APPLY[name] as ((roster: Roster, payload: ServerEvents[K]) => boolean) | undefined
    return apply ? apply(this, payload) : false
  }

  list(): PeerInfo[] {
    return [...this.peers.values()].map(clone)
  }

  chat(): ChatMessage[] {
    return [...this.messages]
  }

  quality(): PeerQuality[] {
    return [...this.rated.values()]
  }

  /** Takes what is new; a peer that is not named is as it was. */
  rate(peers: PeerQuality[]): boolean {
    for (const one of peers) this.rated.set(one.peerId, one)
    return peers.length > 0
  }

  add(peer: PeerInfo): boolean {
    this.peers.set(peer.id, clone(peer))
    return true
  }

  remove(peerId: string): boolean {
    this.rated.delete(peerId)
    return this.peers.delete(peerId)
  }

  say(message: ChatMessage): boolean {
    if (this.messages.some((known) => known.id === message.id)) return false
    this.messages = [...this.messages, message].slice(-CHAT_KEPT)
    return true
  }

  addProducer(peerId: string, producer: ProducerInfo): boolean {
    const peer = this.peers.get(peerId)
    if (!peer) return false
    peer.producers = [...peer.producers.filter((known) => known.id !== producer.id), { ...producer }]
    return true
  }

  pause(peerId: string, producerId: string, paused: boolean): boolean {
    const producer = this.peers.get(peerId)?.producers.find((known) => known.id === producerId)
    if (!producer || producer.paused === paused) return false
    producer.paused = paused
    return true
  }

  removeProducer(peerId: string, producerId: string): boolean {
    const peer = this.peers.get(peerId)
    if (!peer?.producers.some((known) => known.id === producerId)) return false
    peer.producers = peer.producers.filter((known) => known.id !== producerId)
    return true
  }
}

type Applied = { [K in keyof ServerEvents]?: (roster: Roster, payload: ServerEvents[K]) => boolean }

const APPLY: Applied = {
  peerJoined: (roster, { peer }) => roster.add(peer),
  peerLeft: (roster, { peerId }) => roster.remove(peerId),
  producerAdded: (roster, { peerId, producer }) => roster.addProducer(peerId, producer),
  producerPaused: (roster, { peerId, producerId }) => roster.pause(peerId, producerId, true),
  producerResumed: (roster, { peerId, producerId }) => roster.pause(peerId, producerId, false),
  producerClosed: (roster, { peerId, producerId }) => roster.removeProducer(peerId, producerId),
  chat: (roster, message) => roster.say(message),
  activeSpeaker: (roster, { peerId }) => {
    roster.speaker = peerId
    return true
  },
  quality: (roster, { peers }) => roster.rate(peers),
  recording: (roster, recording) => {
    roster.recording = recording
    return true
  },
}

function clone(peer: PeerInfo): PeerInfo {
  return { ...peer, producers: peer.producers.map((producer) => ({ ...producer })) }
}
