import { describe, expect, it } from 'vitest'
import { stepsOf, type Step } from './paths'
import { reportText } from './report'
import en from './words/en.json'
import zh from './words/zh.json'

const origin = new URL('https://consult.example.org')

function sayIn(texts: object) {
  return (key: string, values: Record<string, unknown> = {}) => {
    const found = key.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], { connectivity: texts })
    if (typeof found !== 'string') throw new Error(key)
    return found.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]))
  }
}

describe('reportText', () => {
  const steps = stepsOf({ paths: [{ path: 'udp', candidates: [{ ip: '192.0.2.7', port: 40000 }], urls: [] }], iceServers: [], seconds: 20 }, origin)
    .map((step): Step => (step.id === 'udp' ? { ...step, state: 'blocked', detail: 'timeout' } : step.state === 'waiting' ? { ...step, state: 'works', roundTripMs: 12 } : step))

  it('says in English what works, what is blocked and what to ask for', () => {
    const text = reportText(steps, origin, new Date(0), 'Browser/1', sayIn(en))
    expect(text).toContain('https://consult.example.org · 1970-01-01T00:00:00.000Z')
    expect(text).toContain('Sound and picture, direct (UDP): blocked, timeout [UDP 192.0.2.7:40000]')
    expect(text).toContain('Signaling (WebSocket): works, round trip 12 ms')
    expect(text).toContain('- UDP 192.0.2.7:40000 (Sound and picture, direct (UDP))')
    expect(text.endsWith('Browser/1')).toBe(true)
  })

  it('says it in Chinese', () => {
    expect(reportText(steps, origin, new Date(0), '', sayIn(zh))).toContain('音视频直连（UDP）: 不通, timeout')
  })
})
