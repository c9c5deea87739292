/** A stored stream, fetched a piece at a time as somebody looks back. The clock and what fetches are passed in. */
import type { Text } from '@/api/types'
import { frameOf } from './frame'
import { PastRing } from './pastRing'
import type { Sentence, StreamInfo } from './ring'

export const PIECE_MS = 10_000
/** Two at once: more would take the line from what is live. */
const AT_ONCE = 2
/** Ten minutes of 12 leads at 1 kHz are 15 MB. */
const PIECES_KEPT = 60
/** What was missing may have come meanwhile: a device sends what it owes after a cut. */
const AGAIN_MS = 3_000
/** The stream grows while it is live; how far it reaches is asked for so often at most. */
const EXTENT_MS = 5_000
/** Frames unpacked without a pause, 1 ms of work. */
const PARSED_AT_ONCE = 8
/** Head of each frame in an answer: length, and when it was measured. */
const HEAD_BYTES = 12

export interface PastAlarm {
  kind: string
  severity: 'high' | 'medium' | 'low'
  category: 'physiological' | 'technical'
  /** Unix ms of the session */
  atMs: number
  message?: Text
}

/** Unix ms of the session's clock. */
export interface Extent {
  startMs: number
  endMs: number
  alarms: PastAlarm[]
}

/** Where a stored stream is had from. All reject with a `PastError`, or as an aborted fetch does. Times: Unix ms of the session. */
export interface PastSource {
  extent(abort?: AbortSignal): Promise<Extent>
  part(fromMs: number, toMs: number, abort?: AbortSignal): Promise<ArrayBuffer>
  /** lowest and highest of a lead in each 50 ms */
  overview(fromMs: number, toMs: number, lead: number, abort?: AbortSignal): Promise<Int16Array>
}

/** Why nothing came, in words for a person. */
export class PastError extends Error {
  override readonly name = 'PastError'
  constructor(readonly sentence: Sentence) {
    super(sentence.en)
  }
}

const OFFLINE: Sentence = { zh: '连不上服务器，请检查网络', en: 'The server cannot be reached; check the network' }

async function fetched(url: string, token: string | null, abort?: AbortSignal): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, { headers: token === null ? {} : { Authorization: `Bearer ${token}` }, ...(abort ? { signal: abort } : {}) })
  } catch (error) {
    if (abort?.aborted) throw error
    throw new PastError(OFFLINE)
  }
  if (response.ok) return response
  const problem = await response.json().catch(() => ({})) as { message?: Sentence }
  throw new PastError(problem.message ?? { zh: `服务器回答 ${response.status}`, en: `The server answered ${response.status}` })
}

const seconds = (ms: number) => (ms / 1000).toFixed(3)
const span = (url: string, fromMs: number, toMs: number) => `${url}${url.includes('?') ? '&' : '?'}from=${seconds(fromMs)}&to=${seconds(toMs)}`

/** A source whose parts and overviews are had under two addresses, with a token or with what stands in them. */
export function sourceAt(extent: PastSource['extent'], partUrl: string, overviewUrl: string, token: string | null = null): PastSource {
  return {
    extent,
    part: async (fromMs, toMs, abort) => await (await fetched(span(partUrl, fromMs, toMs), token, abort)).arrayBuffer(),
    overview: async (fromMs, toMs, lead, abort) => {
      const url = `${span(overviewUrl, fromMs, toMs)}&lead=${lead}`
      const data = new DataView(await (await fetched(url, token, abort)).arrayBuffer())
      return Int16Array.from({ length: data.byteLength / 2 }, (_unused, at) => data.getInt16(at * 2, true))
    },
  }
}

interface ToldExtent {
  start: number
  end: number
  alarms: (Omit<PastAlarm, 'atMs'> & { since: number })[]
}

/** Streams of an open room, for who may watch it (signaling/PROTOCOL.md, /signals/past). */
export function roomSource(origin: string, token: string, streamId: string): PastSource {
  const url = `${origin}/signals/past/${streamId}`
  const extent = async (abort?: AbortSignal): Promise<Extent> => {
    const told = await (await fetched(url, token, abort)).json() as ToldExtent
    const alarms = told.alarms.map(({ since, ...alarm }) => ({ ...alarm, atMs: since * 1000 }))
    return { startMs: told.start * 1000, endMs: told.end * 1000, alarms }
  }
  return sourceAt(extent, `${url}/part`, `${url}/overview`, token)
}

/** Takes an answer apart: each frame with its time on the session's clock. */
export function framesIn(buffer: ArrayBuffer): { atMs: number; bytes: ArrayBuffer }[] {
  const view = new DataView(buffer)
  const found: { atMs: number; bytes: ArrayBuffer }[] = []
  for (let at = 0; at + HEAD_BYTES <= buffer.byteLength;) {
    const end = at + HEAD_BYTES + view.getUint32(at, true)
    if (end > buffer.byteLength) break
    found.push({ atMs: Number(view.getBigInt64(at + 4, true) / 1000n) / 1000, bytes: buffer.slice(at + HEAD_BYTES, end) })
    at = end
  }
  return found
}

export type PastState = 'ready' | 'loading' | 'failed'

interface Piece {
  state: PastState
  atMs: number
  /** something was missing in it */
  holes: boolean
  abort: AbortController | null
}

export class Past {
  ring: PastRing | null = null
  extent: Extent | null = null
  /** why what was wanted last is not there */
  why: Sentence | null = null
  private asked: { atMs: number; state: PastState } | null = null
  private readonly pieces = new Map<number, Piece>()
  private wanted: number[] = []
  private closed = false

  /** `changed`: something came, or failed. `nowMs` is a clock that only runs forward. */
  constructor(
    private readonly info: StreamInfo,
    private readonly source: PastSource,
    private readonly changed: () => void,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Learns how far the stream reaches; `again`: a person asked anew after a failure. */
  open(again = false): PastState {
    const now = this.nowMs()
    const old = !this.asked || (this.asked.state !== 'loading' && now - this.asked.atMs >= EXTENT_MS)
    if (old || (again && this.asked?.state === 'failed')) {
      this.asked = { atMs: now, state: 'loading' }
      void this.learn()
    }
    if (this.extent) return 'ready'
    return this.asked?.state ?? 'loading'
  }

  private async learn(): Promise<void> {
    try {
      const extent = await this.source.extent()
      this.extent = extent
      this.ring ??= new PastRing(this.info, Math.floor(extent.startMs / PIECE_MS) * PIECE_MS, extent.startMs)
      this.asked = { atMs: this.nowMs(), state: 'ready' }
    } catch (error) {
      this.why = error instanceof PastError ? error.sentence : OFFLINE
      this.asked = { atMs: this.nowMs(), state: 'failed' }
    }
    if (!this.closed) this.changed()
  }

  /** How what lies in [from, to) stands; what is missing is fetched, and then what follows it for `aheadMs`. What is no longer wanted is let go. */
  want(fromMs: number, toMs: number, again = false, aheadMs = 0): PastState {
    const { extent, ring } = this
    if (!extent || !ring) return this.open(again) === 'failed' ? 'failed' : 'loading'
    const first = Math.max(0, Math.floor((fromMs - ring.beginMs) / PIECE_MS))
    const last = Math.max(first, Math.floor((Math.min(toMs, extent.endMs + PIECE_MS) - 1 - ring.beginMs) / PIECE_MS))
    const numbers: number[] = []
    for (let number = last; number >= first; number -= 1) numbers.push(number)
    const ahead = Array.from({ length: Math.ceil(aheadMs / PIECE_MS) }, (_unused, index) => last + 1 + index)
    this.wanted = [...numbers, ...ahead.filter((number) => ring.beginMs + number * PIECE_MS < extent.endMs)]
    for (const [number, piece] of this.pieces) {
      if (piece.state === 'failed' && again) this.pieces.delete(number)
      if (piece.state === 'loading' && !this.wanted.includes(number)) piece.abort?.abort()
    }
    this.fetchNext()
    this.makeRoom((first + last) / 2)
    const states = numbers.map((number) => this.pieces.get(number))
    // What is fetched again for its holes is shown as it was meanwhile.
    if (states.every((piece) => piece && piece.state !== 'failed' && (piece.state === 'ready' || piece.atMs >= 0))) return 'ready'
    return states.some((piece) => piece?.state === 'failed') ? 'failed' : 'loading'
  }

  private stale(piece: Piece | undefined): boolean {
    if (!piece) return true
    return piece.state === 'ready' && piece.holes && this.nowMs() - piece.atMs >= AGAIN_MS
  }

  private fetchNext(): void {
    if (this.closed) return
    let running = [...this.pieces.values()].filter(({ state }) => state === 'loading').length
    for (const number of this.wanted) {
      if (running >= AT_ONCE) return
      const known = this.pieces.get(number)
      if (!this.stale(known)) continue
      running += 1
      void this.fetchPiece(number, known?.atMs ?? -1)
    }
  }

  /** `before`: when it was had earlier; negative: never. */
  private async fetchPiece(number: number, before: number): Promise<void> {
    const ring = this.ring as PastRing
    const piece: Piece = { state: 'loading', atMs: before, holes: false, abort: new AbortController() }
    this.pieces.set(number, piece)
    const fromMs = ring.beginMs + number * PIECE_MS
    try {
      const frames = framesIn(await this.source.part(fromMs, fromMs + PIECE_MS, piece.abort?.signal))
      // Damaged ones are left out and stay visible as a gap.
      for (const [index, { atMs, bytes }] of frames.entries()) {
        // In between what is live is drawn.
        if (index % PARSED_AT_ONCE === PARSED_AT_ONCE - 1) await new Promise((next) => { setTimeout(next) })
        const frame = frameOf(bytes)
        if (frame) ring.write({ ...frame, timeMs: atMs })
      }
      const from = Math.max(ring.oldest, Math.round((number * PIECE_MS * ring.rateHz) / 1000))
      const endMs = Math.min(fromMs + PIECE_MS, this.extent?.endMs ?? Infinity)
      const to = Math.floor(((endMs - ring.beginMs) * ring.rateHz) / 1000)
      Object.assign(piece, { state: 'ready', atMs: this.nowMs(), holes: ring.runs(from, to, false).length > 0, abort: null })
    } catch (error) {
      if (piece.abort?.signal.aborted) {
        if (this.pieces.get(number) === piece) this.pieces.delete(number)
      } else {
        this.why = error instanceof PastError ? error.sentence : OFFLINE
        Object.assign(piece, { state: before >= 0 ? 'ready' : 'failed', atMs: this.nowMs(), holes: true, abort: null })
      }
    }
    if (this.closed) return
    this.fetchNext()
    this.changed()
  }

  private makeRoom(middle: number): void {
    const far = [...this.pieces].filter(([, { state }]) => state !== 'loading').sort(([one], [other]) => Math.abs(other - middle) - Math.abs(one - middle))
    for (const [number] of far.slice(0, Math.max(0, this.pieces.size - PIECES_KEPT))) {
      this.pieces.delete(number)
      const perPiece = (PIECE_MS * this.info.samplingRateHz) / 1000
      this.ring?.drop({ start: Math.floor(number * perPiece), end: Math.ceil((number + 1) * perPiece) })
    }
  }

  close(): void {
    this.closed = true
    for (const { abort } of this.pieces.values()) abort?.abort()
  }
}
