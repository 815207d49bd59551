/** What a registry says of leases, on the host whose they are said to be. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import { ServiceLeases } from './leases.ts'
import { type ServiceRecord, serviceFromValue } from './record.ts'
import { Registrar } from './registrar.ts'

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

test('a full network refuses a service, and nothing is leased for it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-service-leases-'))
  try {
    const dataDir = join(directory, 'leases')
    const ranges = [[{ subnet: 'fd44::/64' }], [{ subnet: '10.44.0.0/29' }]]
    const plugins = [{ type: 'bridge', ipam: { type: 'host-local', dataDir, ranges } }, { type: 'dns' }]
    writeFileSync(join(directory, 'green.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'green', plugins }))
    const own = { values: () => new Map(), claims: () => new Map() }
    const registry = new AloneRegistry({ directory: join(directory, 'registry'), own })
    const leases = new ServiceLeases('h1', directory)
    const registrar = new Registrar({ host: 'h1', registry, confDir: directory, leases, portProblem: () => '' })
    const wish = { network: 'green', alias: 'web', mode: 'vip', vips: [], isSticky: false, published: [] } as const
    const create = (name: string) => registrar.create({ ...wish, name }, 1000)
    const made: (string | undefined)[] = []
    // A /29 without its first, its last and the gateway.
    for (const name of ['a', 'b', 'c', 'd', 'e']) made.push((await create(name)).vips.map(formatAddress).at(-1))
    assert.equal(made, ['10.44.0.6', '10.44.0.5', '10.44.0.4', '10.44.0.3', '10.44.0.2'])
    const before = readdirSync(join(dataDir, 'green'))
    const refused = await create('f').catch((error: Error) => error)
    assert.match(refused instanceof Error ? refused.message : '', /^give service "f" an address of .*: all are taken$/)
    assert.equal(readdirSync(join(dataDir, 'green')), before)
    await registrar.remove('c', 1000)
    assert.equal((await create('f')).vips.map(formatAddress).at(-1), '10.44.0.4')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test.run()
