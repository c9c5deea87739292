/** Link, monitor and sweep put together on whatever thread this runs on; driven by messages, so that a worker needs nothing else. */
import { SignalLink } from './link'
import { Monitor, type EcgStatus } from './monitor'
import { roomSource } from './past'
import type { Limits, Refusal } from './findings'
import type { AnyCanvas, Context2d } from './paint'
import type { Strip } from './strip'
import { Sweep, type ViewOptions } from './sweep'

/** Figures are told a few times a second; the picture does not depend on it. */
const STATUS_EVERY_MS = 250
/** Pictures between two tellings, even of a screen with 240 a second. */
const FRAMES_TOLD = 120

export interface EngineStart {
  type: 'start'
  canvas: AnyCanvas
  url: string
  token: string
  options: ViewOptions
}

export type EngineMessage =
  | EngineStart
  | { type: 'options'; options: ViewOptions }
  /** see Monitor.look */
  | { type: 'look'; end: number | 'here' | null }
  | { type: 'choose'; streamId: string }
  | { type: 'lane'; streamId: string; canvas: AnyCanvas | null; options: ViewOptions }
  | { type: 'laneOptions'; streamId: string; options: ViewOptions }
  | { type: 'acknowledge'; id: string }
  | { type: 'limits'; limits: Limits }
  | { type: 'strip' }
  | { type: 'visible'; visible: boolean }
  | { type: 'stop' }

export type LinkState = 'connecting' | 'up' | 'down' | 'refused'
/** `frames`: ms between the pictures since the last telling; `drawing`: ms that each of them took to draw. */
export type EngineStatus = EcgStatus & { link: LinkState; frames: number[]; drawing: number[]; refusal: Refusal | null }
/** What the page hears: figures a few times a second, and a strip when it asked for one. */
export type EngineTold = { type: 'status'; status: EngineStatus } | { type: 'strip'; strip: Strip | null }

export class EcgEngine {
  private link: SignalLink | null = null
  private linkState: LinkState = 'connecting'
  private monitor: Monitor | null = null
  private sweep: Sweep | null = null
  private visible = true
  private running = false
  private refusal: Refusal | null = null
  private frames: number[] = []
  private drawing: number[] = []
  private lastFrameAt: number | null = null
  private timer: ReturnType<typeof setInterval> | undefined

  constructor(
    private readonly tell: (told: EngineTold) => void,
    private readonly makeCanvas: (width: number, height: number) => AnyCanvas,
    /** Unix ms with fractions; the clock that devices stamp by. */
    private readonly now: () => number = () => performance.timeOrigin + performance.now(),
  ) {}

  handle(message: EngineMessage): void {
    switch (message.type) {
      case 'start':
        this.start(message)
        break
      case 'options':
        this.sweep?.set(message.options)
        break
      case 'visible':
        this.visible = message.visible
        break
      case 'stop':
        this.running = false
        clearInterval(this.timer)
        this.link?.close()
        this.monitor?.close()
        break
      default:
        if (this.monitor) this.wish(message, this.monitor)
    }
  }

  /** What a person wants of the pictures. */
  private wish(message: EngineMessage, monitor: Monitor): void {
    switch (message.type) {
      case 'look':
        monitor.look(message.end)
        this.report()
        break
      case 'choose':
        monitor.choose(message.streamId)
        break
      case 'lane':
        this.lane(message.streamId, message.canvas, message.options)
        break
      case 'laneOptions':
        monitor.setLane(message.streamId, message.options)
        break
      case 'acknowledge':
        this.refusal = null
        this.link?.acknowledge(message.id)
        break
      case 'limits':
        this.refusal = null
        this.link?.choose(message.limits)
        break
      case 'strip':
        this.tell({ type: 'strip', strip: monitor.strip() })
        break
    }
  }

  private start({ canvas, url, token, options }: EngineStart): void {
    const context = canvas.getContext('2d', { alpha: false }) as Context2d | null
    if (!context) return
    const sweep = new Sweep(canvas, context, this.makeCanvas)
    const origin = url.replace(/^ws/, 'http').replace(/\/signals\/.*$/, '')
    const monitor = new Monitor(sweep, (streamId) => roomSource(origin, token, streamId))
    this.sweep = sweep
    this.monitor = monitor
    sweep.set(options)
    this.link = new SignalLink(url, token, {
      streams: (streams) => monitor.streamsAre(streams),
      ended: (streamId, why) => monitor.streamEnded(streamId, why),
      storing: (trouble) => { monitor.trouble = trouble },
      frame: (frame) => monitor.frame(frame, this.now()),
      analysis: (analysis) => monitor.analysis(analysis, this.now()),
      alarm: (alarm) => monitor.findings.alarm(alarm),
      refused: (refusal) => { this.refusal = refusal },
      limits: (limits) => { monitor.findings.limits = limits },
      clock: (clock) => monitor.clock(clock),
      damaged: () => { monitor.damaged += 1 },
      state: (state) => {
        if (state === 'up') monitor.findings.anew()
        this.linkState = state
      },
    })
    this.link.open()
    this.running = true
    requestAnimationFrame(this.step)
    // Without pictures (a hidden page) the figures still go on.
    this.timer = setInterval(() => this.report(), STATUS_EVERY_MS)
  }

  private lane(streamId: string, canvas: AnyCanvas | null, options: ViewOptions): void {
    const context = canvas?.getContext('2d', { alpha: false }) as Context2d | null | undefined
    const sweep = canvas && context ? new Sweep(canvas, context, this.makeCanvas) : null
    sweep?.set(options)
    this.monitor?.lane(streamId, sweep)
  }

  private readonly step = (): void => {
    if (!this.running) return
    const at = performance.now()
    this.monitor?.tick(this.now(), !this.visible)
    if (this.visible && this.lastFrameAt !== null && this.frames.length < FRAMES_TOLD) {
      this.frames.push(at - this.lastFrameAt)
      this.drawing.push(performance.now() - at)
    }
    this.lastFrameAt = this.visible ? at : null
    requestAnimationFrame(this.step)
  }

  private report(): void {
    if (!this.monitor || !this.running) return
    const { linkState: link, frames, drawing, refusal } = this
    this.tell({ type: 'status', status: { ...this.monitor.status(this.now()), link, frames, drawing, refusal } })
    this.frames = []
    this.drawing = []
  }
}
