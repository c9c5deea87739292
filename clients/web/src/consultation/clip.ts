/** A DICOM clip as the server packs it: a JSON head and each picture, each after its length (32 bits, big-endian). */
export interface ClipHead { count: number; width: number; height: number; frameMs: number | null; spacingMm: [number, number] | null; region: [number, number, number, number] | null }
export interface Clip extends ClipHead { pictures: Blob[] }

/** Where an object does not say how fast it was taken. */
const FRAME_MS = 40
export const SPEEDS = [0.25, 0.5, 1, 2] as const

export function readClip(data: ArrayBuffer): Clip {
  const view = new DataView(data)
  const parts: Uint8Array<ArrayBuffer>[] = []
  for (let at = 0; at < data.byteLength; at += 4 + (parts.at(-1)?.byteLength ?? 0)) parts.push(new Uint8Array(data, at + 4, view.getUint32(at)))
  const [head, ...pictures] = parts
  return { ...JSON.parse(new TextDecoder().decode(head)) as ClipHead, pictures: pictures.map((picture) => new Blob([picture])) }
}

/** The picture that is due `elapsed` ms after `from` was shown, beginning anew after the last. */
export function pictureAt(clip: ClipHead, from: number, elapsed: number, speed: number): number {
  return (from + Math.floor((elapsed * speed) / (clip.frameMs ?? FRAME_MS))) % clip.count
}

export interface Point { x: number; y: number }

/** Whether a pixel has a size there. */
export function isMeasured({ region }: ClipHead, { x, y }: Point): boolean {
  return region !== null && x >= region[0] && y >= region[1] && x <= region[2] && y <= region[3]
}

/** Millimetres between two points of the picture, where its pixels have a size. */
export function distance(clip: ClipHead, a: Point, b: Point): number | null {
  return clip.spacingMm && isMeasured(clip, a) && isMeasured(clip, b) ? Math.hypot((a.x - b.x) * clip.spacingMm[0], (a.y - b.y) * clip.spacingMm[1]) : null
}
