import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { FILE_BYTES, FILES_MAX, pick, sizeOf } from './files'
import { useUploads, type Send } from './uploads'

const file = (name: string, type = '', size = 10): File => {
  const made = new File(['x'], name, { type, lastModified: 1 })
  Object.defineProperty(made, 'size', { value: size })
  return made
}

describe('files', () => {
  it('takes what the server would take, and says why not of the others', () => {
    const { picked, refused } = pick([file('a.dcm'), file('b.png', 'image/png'), file('DICOM0001'), file('v', 'audio/webm'), file('c.exe'), file('d.pdf', '', FILE_BYTES + 1), file('e.csv', '', 0)], [])
    expect(picked.map(({ file: { name } }) => name)).toEqual(['a.dcm', 'b.png', 'DICOM0001', 'v'])
    expect(refused).toEqual([{ name: 'c.exe', why: 'kind' }, { name: 'd.pdf', why: 'size' }, { name: 'e.csv', why: 'empty' }])
  })

  it('takes a file once, and no more than a consult keeps', () => {
    const { picked } = pick([file('a.png')], [])
    expect(pick([file('a.png')], picked)).toEqual({ picked: [], refused: [] })
    const many = Array.from({ length: FILES_MAX + 1 }, (_, index) => file(`${index}.png`))
    expect(pick(many, []).refused).toEqual([{ name: `${FILES_MAX}.png`, why: 'many' }])
    expect([sizeOf(1), sizeOf(1_500_000)]).toEqual(['1 KB', '1.4 MB'])
  })
})

describe('uploads', () => {
  beforeEach(() => setActivePinia(createPinia()))

  it('sends one after another, keeps what failed, and sends it again', async () => {
    const uploads = useUploads()
    const sent: string[] = []
    let broken = true
    const send: Send = (path, one, progress) => {
      sent.push(path)
      progress(0.5)
      return one.name === 'b.png' && broken ? Promise.reject(new Error('line')) : Promise.resolve()
    }
    await uploads.start('con-1', pick([file('a.png'), file('b.png'), file('c.png')], []).picked, send)
    expect(sent).toEqual(['a', 'b', 'c'].map((name) => `/consultations/con-1/materials?name=${name}.png`))
    const [left, ...more] = uploads.of('con-1')
    expect([left?.file.name, left?.state, left?.percent, more]).toEqual(['b.png', 'failed', 50, []])
    broken = false
    await uploads.again('con-1', left?.key ?? 0, send)
    expect(uploads.of('con-1')).toEqual([])
  })

  it('stops what is left out, and goes on with the next', async () => {
    const uploads = useUploads()
    const [first, second] = pick([file('a.png'), file('b.png')], []).picked
    const sent: string[] = []
    const send: Send = (_, one, __, abort) => {
      sent.push(one.name)
      return one.name === 'b.png' ? Promise.resolve() : new Promise((_, reject) => abort.addEventListener('abort', () => reject(new Error('aborted'))))
    }
    const done = uploads.start('con-1', [first!, second!], send)
    uploads.drop('con-1', first!.key)
    await done
    expect([sent, uploads.of('con-1')]).toEqual([['a.png', 'b.png'], []])
  })
})
