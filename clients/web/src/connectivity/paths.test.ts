import { describe, expect, it } from 'vitest'
import { conclude, requests, stepsOf, targetsOf, turnKind, type Offered, type Step, type StepId } from './paths'

const origin = new URL('https://consult.example.org')
const offered: Offered = {
  paths: [
    { path: 'udp', candidates: [{ protocol: 'udp', ip: '192.0.2.7', port: 40000 }, { protocol: 'udp', address: '2001:db8::7', port: 40000 }], urls: [] },
    { path: 'tcp', candidates: [{ protocol: 'tcp', ip: '192.0.2.7', port: 40001 }], urls: [] },
    { path: 'turn', candidates: [], urls: ['turn:turn.example.org?transport=udp', 'turns:turn.example.org:443?transport=tcp'] },
    { path: 'websocket', candidates: [], urls: ['/socket.io/'] },
  ],
  iceServers: [{ urls: ['stun:x'] }, { urls: ['turn:turn.example.org?transport=udp', 'turns:turn.example.org:443?transport=tcp'], username: 'u', credential: 'c' }],
  seconds: 20,
}

describe('what is tried', () => {
  it('is each way that the server has, TURN by its kinds with credentials', () => {
    expect(targetsOf(offered).map(({ id, path }) => `${id} ${path}`)).toEqual(['udp udp', 'tcp tcp', 'turn_udp turn', 'turn_tls turn'])
    expect(targetsOf(offered)[3]?.iceServers).toEqual([{ urls: ['turns:turn.example.org:443?transport=tcp'], username: 'u', credential: 'c' }])
  })

  it.each([
    ['turn:h', 'turn_udp'],
    ['turn:h:3478?transport=tcp', 'turn_tcp'],
    ['turns:h:443?transport=tcp', 'turn_tls'],
    ['turns:h', 'turn_tls'],
  ] as const)('%s is %s', (url, kind) => {
    expect(turnKind(url)).toBe(kind)
  })

  it('names what a firewall has to let through', () => {
    const needs = Object.fromEntries(stepsOf(offered, origin).map(({ id, needs: lines }) => [id, lines]))
    expect(needs).toMatchObject({
      server: ['TCP consult.example.org:443'], udp: ['UDP 192.0.2.7:40000', 'UDP [2001:db8::7]:40000'], tcp: ['TCP 192.0.2.7:40001'],
      turn_udp: ['UDP turn.example.org:3478'], turn_tls: ['TCP turn.example.org:443'], turn_tcp: [],
    })
  })

  it('leaves out what the server has not, and what is told to accounts only', () => {
    const states = (given: Offered | null) => Object.fromEntries(stepsOf(given, origin).map(({ id, state }) => [id, state]))
    expect(states(offered)).toMatchObject({ turn_tcp: 'absent', turn_tls: 'waiting', websocket: 'waiting' })
    expect(states(null)).toMatchObject({ udp: 'unasked', server: 'waiting', websocket: 'waiting' })
  })
})

/** All blocked but these. */
function after(...working: StepId[]): Step[] {
  return stepsOf(offered, origin).map((step) => ({ ...step, state: step.state === 'absent' ? 'absent' : working.includes(step.id) ? 'works' : 'blocked' }))
}

describe('what it means', () => {
  it.each([
    [after('server', 'websocket', 'udp'), 'good', []],
    [after('server', 'websocket', 'turn_udp', 'tcp'), 'relayed', ['udp']],
    [after('server', 'websocket', 'turn_tls'), 'tcp', ['udp', 'turn_udp']],
    [after('server', 'websocket'), 'no_media', ['udp', 'turn_udp', 'tcp', 'turn_tls']],
    [after('server'), 'no_line', ['websocket']],
    [after(), 'offline', ['server', 'websocket']],
    [stepsOf(null, origin).map((step): Step => (step.state === 'waiting' ? { ...step, state: 'works' } : step)), 'unknown', []],
  ] as const)('%#: %s', (steps, conclusion, asked) => {
    expect(conclude([...steps])).toBe(conclusion)
    expect(requests([...steps]).map(({ id }) => id)).toEqual(asked)
  })
})
