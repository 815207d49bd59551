import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { LocalStore } from './local-store.ts'

const test = suite('agent/local-store')

const HELD = { network: 'blue', containerId: 'c1', ifName: 'eth0', pool: 'blue', ips: ['10.0.0.2'] }

test('files of 0.1.0, without a format, are read; an agent does not start over those of a newer one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-store-'))
  try {
    const first = new LocalStore(directory)
    first.putAddresses(HELD)
    first.write({ presence: 1n, records: 2n })
    const folder = join(directory, 'addresses')
    const paths = [join(folder, readdirSync(folder)[0] ?? ''), join(directory, 'leases.json')]
    for (const path of paths) {
      const { format, ...older } = JSON.parse(readFileSync(path, 'utf8'))
      assert.is(format, 1)
      writeFileSync(path, JSON.stringify(older))
    }
    const second = new LocalStore(directory)
    assert.equal([[...second.addresses.values()], second.read()], [[HELD], { presence: 1n, records: 2n }])
    for (const path of paths) {
      const text = readFileSync(path, 'utf8')
      writeFileSync(path, JSON.stringify({ ...JSON.parse(text), format: 2 }))
      const start = (): unknown => new LocalStore(directory).read()
      assert.throws(start, new RegExp(`^read "${path}": it is of format 2, and this version of Patchbay knows 1$`))
      assert.ok(existsSync(path))
      writeFileSync(path, text)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.run()
