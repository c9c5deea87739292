import { describe, expect, it } from 'vitest'
import { keyBytes, labelOf } from './push'

describe('this browser', () => {
  it('reads the key as the server writes it', () => {
    expect([...keyBytes('-_8A')]).toEqual([0xfb, 0xff, 0x00])
    expect(keyBytes('BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8')).toHaveLength(65)
  })

  it('has a name by which its owner knows it', () => {
    expect(labelOf('Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0')).toBe('Edge · Windows')
    expect(labelOf('Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36')).toBe('Chrome · Android')
    expect(labelOf('curl')).toBe('')
  })
})
