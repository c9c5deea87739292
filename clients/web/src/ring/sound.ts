import type { Pace } from '@/api/pace'

/** Two notes an interval; urgent is higher, faster and three times. No file: an oscillator needs no download. */
const PATTERNS: Record<Pace | 'alarm_high' | 'alarm_medium', { notes: readonly number[]; everyMs: number; times: number; vibrate: readonly number[] }> = {
  urgent: { notes: [988, 784, 988, 784, 988, 784], everyMs: 1_600, times: Infinity, vibrate: [300, 120, 300, 120, 300] },
  diagnostic: { notes: [784, 659], everyMs: 2_600, times: Infinity, vibrate: [250, 150, 250] },
  routine: { notes: [659, 523], everyMs: 4_000, times: 3, vibrate: [200] },
  // Alarms of a patient: five pulses and three, as IEC 60601-1-8 groups them.
  alarm_high: { notes: [880, 880, 880, 1175, 1175], everyMs: 4_000, times: Infinity, vibrate: [120, 80, 120, 80, 120] },
  alarm_medium: { notes: [880, 880, 880], everyMs: 8_000, times: Infinity, vibrate: [200] },
}
const NOTE_S = 0.16
const VOLUME = 0.25

/** A page that nobody has touched yet may not shake the phone; asking anyway is a complaint in the console. */
const touched = (): boolean => (navigator.userActivation as UserActivation | undefined)?.hasBeenActive ?? true

/** Sounds and shakes until stopped; a routine ring, which may wait for hours, a few times only. A browser that forbids sound before the first touch starts with that touch. */
export class RingSound {
  private context: AudioContext | null = null
  private timer: ReturnType<typeof setInterval> | undefined
  private kind: keyof typeof PATTERNS | null = null
  private played = 0
  private readonly wake = () => void this.context?.resume()

  start(kind: keyof typeof PATTERNS): void {
    if (this.kind === kind) return
    this.stop()
    this.kind = kind
    this.played = 0
    const Context = globalThis.AudioContext as typeof AudioContext | undefined
    if (Context) this.context = new Context()
    addEventListener('pointerdown', this.wake)
    this.once()
    this.timer = setInterval(() => this.once(), PATTERNS[kind].everyMs)
  }

  stop(): void {
    clearInterval(this.timer)
    removeEventListener('pointerdown', this.wake)
    if (this.kind && touched()) navigator.vibrate?.(0)
    this.kind = null
    void this.context?.close()
    this.context = null
  }

  private once(): void {
    if (!this.kind) return
    const { notes, times, vibrate } = PATTERNS[this.kind]
    if (++this.played > times) return
    if (touched()) navigator.vibrate?.([...vibrate])
    if (this.context?.state === 'running') notes.forEach((hertz, index) => this.note(hertz, index * NOTE_S))
  }

  private note(hertz: number, after: number): void {
    if (!this.context) return
    const from = this.context.currentTime + after
    const gain = new GainNode(this.context, { gain: 0 })
    const tone = new OscillatorNode(this.context, { frequency: hertz, type: 'triangle' })
    gain.gain.setTargetAtTime(VOLUME, from, 0.01)
    gain.gain.setTargetAtTime(0, from + NOTE_S * 0.7, 0.02)
    tone.connect(gain).connect(this.context.destination)
    tone.start(from)
    tone.stop(from + NOTE_S)
  }
}
