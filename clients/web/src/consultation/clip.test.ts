import { describe, expect, it } from 'vitest'
import { distance, pictureAt, readClip, type ClipHead } from './clip'

const head: ClipHead = { count: 3, width: 40, height: 20, frameMs: 40, spacingMm: [0.5, 0.25], region: [0, 0, 10, 20] }

function packed(...parts: Uint8Array[]): ArrayBuffer {
  const all = new Uint8Array(parts.reduce((size, part) => size + 4 + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    new DataView(all.buffer).setUint32(at, part.byteLength)
    all.set(part, at + 4)
    at += 4 + part.byteLength
  }
  return all.buffer
}

describe('a clip', () => {
  it('is read from its packing', async () => {
    const clip = readClip(packed(new TextEncoder().encode(JSON.stringify(head)), new Uint8Array([1, 2]), new Uint8Array([]), new Uint8Array([3])))
    expect(clip).toMatchObject(head)
    expect(await Promise.all(clip.pictures.map(async (picture) => [...new Uint8Array(await picture.arrayBuffer())]))).toEqual([[1, 2], [], [3]])
  })

  it('runs at its own speed and begins anew', () => {
    expect([0, 39, 40, 80, 120].map((elapsed) => pictureAt(head, 0, elapsed, 1))).toEqual([0, 0, 1, 2, 0])
    expect([40, 80].map((elapsed) => pictureAt(head, 1, elapsed, 0.5))).toEqual([1, 2])
    expect(pictureAt({ ...head, frameMs: null }, 2, 40, 1)).toBe(0)
  })

  it('is measured where its pixels have a size', () => {
    expect(distance(head, { x: 0, y: 0 }, { x: 6, y: 16 })).toBe(5)
    expect(distance(head, { x: 0, y: 0 }, { x: 11, y: 16 })).toBeNull()
    expect(distance({ ...head, spacingMm: null, region: null }, { x: 0, y: 0 }, { x: 1, y: 1 })).toBeNull()
  })
})
