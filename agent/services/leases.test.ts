/** What a registry says of leases, on the host whose they are said to be. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ServiceLeases } from './leases.ts'
import { type ServiceRecord, serviceFromValue } from './record.ts'

const test = suite('agent/services/leases')

function withLeases(body: (leases: ServiceLeases, directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-service-leases-'))
  try {
    const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges: [[{ subnet: '10.44.0.0/28' }]] }
    const plugins = [{ type: 'bridge', ipam }, { type: 'dns' }]
    writeFileSync(join(directory, 'green.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'green', plugins }))
    body(new ServiceLeases('h1', directory), directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** As the registry has it. */
function record(leases: string, more: object = {}): ServiceRecord {
  const plain = { id: '5'.repeat(64), network: 'green', mode: 'vip', vips: ['10.44.0.14'], leases, leaseHost: 'h1' }
  const read = serviceFromValue('web', JSON.stringify({ ...plain, ...more }))
  if (typeof read === 'string') throw new Error(read)
  return read
}

test('an address is leased where the network has its leases, and given back', () =>
  withLeases((leases, directory) => {
    const own = join(directory, 'leases')
    assert.is(leases.keep(record(own)), '')
    assert.is(readFileSync(join(own, 'green', '10.44.0.14'), 'utf8'), 'service-web\r\nvip')
    leases.release(record(own, { leaseHost: 'h2' }))
    assert.ok(existsSync(join(own, 'green', '10.44.0.14')))
    leases.release(record(own))
    assert.not.ok(existsSync(join(own, 'green', '10.44.0.14')))
  }))

test('a registry that names another directory, network or address has nothing made', () =>
  withLeases((leases, directory) => {
    const own = join(directory, 'leases')
    const elsewhere = join(directory, 'elsewhere')
    for (const [strange, words] of [
      [
        record(elsewhere),
        /^keep the address of service "web": it is said to be leased in ".*elsewhere", and network "green" has/
      ],
      [record(`${own}/../elsewhere`), /is said to be leased in/],
      [record(own, { network: 'cron.d' }), /^keep the address of service "web": load network "cron.d": not in/],
      [record(own, { vips: ['10.44.0.1'] }), /: network "green" does not give 10\.44\.0\.1$/],
      [record(own, { vips: ['192.0.2.7'] }), /: network "green" does not give 192\.0\.2\.7$/]
    ] as const) {
      assert.match(leases.keep(strange), words)
      leases.release(strange)
    }
    assert.equal(readdirSync(directory), ['green.conflist'])
  }))

test.run()
