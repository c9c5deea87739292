// Writes a .gz beside every text file of the build, so that the server never compresses while somebody waits.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const root = new URL('../dist/', import.meta.url).pathname
const names = (await readdir(root, { recursive: true })).filter((name) => /\.(js|css|html|svg|json)$/.test(name))
for (const name of names) {
  const bytes = await readFile(join(root, name))
  if (bytes.length > 1024) await writeFile(join(root, `${name}.gz`), gzipSync(bytes, { level: 9 }))
}
