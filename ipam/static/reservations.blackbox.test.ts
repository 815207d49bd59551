/** static beside host-local: one account of what is in use, and host-local's own when it is asked for. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callPlugin, ENGINE } from '../../lib/testing/blackbox.ts'
import { type IpamProgram, LeaseNet, withLeases } from '../../lib/testing/lease-net.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite(`ipam/static: leasesOf, ${ENGINE}`)

function built(type: string): IpamProgram {
  return { type, call: call => callPlugin(type, call) }
}

const POOL = { subnet: '10.1.0.0/29' }
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

function fixed(...addresses: readonly string[]): object {
  return { leasesOf: 'net', addresses: addresses.map(address => ({ address })) }
}

/** A network that chooses its addresses, and one that gives them out by name. */
function withBoth(body: (pool: LeaseNet, printer: LeaseNet) => void): void {
  withLeases(built('host-local'), pool => body(pool, new LeaseNet(built('static'), pool.dataDir, 'printer')))
}

test('an address is never had by both; DEL gives it back; what host-local collects stays', () =>
  withBoth((pool, printer) => {
    assert.equal(printer.add('p1', fixed('10.1.0.3/29')), ['10.1.0.3/29'])
    assert.is(readFileSync(join(pool.path, '10.1.0.3'), 'utf8'), `static printer p1 eth0 ${BOOT}`)
    assert.equal(pool.add('c1', POOL), ['10.1.0.2/29'])
    assert.equal(pool.add('c2', POOL), ['10.1.0.4/29'])
    const refused = printer.call('ADD', 'p2', fixed('10.1.0.5/29', '10.1.0.4/29'))
    assert.is(refused.code, 101)
    assert.match(refused.message, /"10\.1\.0\.4": it is taken by container "c2" interface "eth0"$/)
    assert.match(
      printer.call('ADD', 'p2', fixed('10.1.0.3/29')).message,
      /container "p1" interface "eth0" on network "printer"$/
    )
    assert.equal(pool.leases(), ['10.1.0.2', '10.1.0.3', '10.1.0.4'], 'a refusal leaves nothing')
    assert.is(pool.call('GC', 'c1', POOL, { 'cni.dev/valid-attachments': [] }).status, 0)
    assert.equal(pool.leases(), ['10.1.0.3'])
    assert.is(printer.call('DEL', 'p2', fixed('10.1.0.3/29')).status, 0)
    assert.equal(pool.leases(), ['10.1.0.3'], "another's")
    for (let i = 0; i < 2; i += 1) assert.is(printer.call('DEL', 'p1', fixed('10.1.0.9/29')).status, 0)
    assert.equal(pool.leases(), [])
  }))

test('ADD again keeps, CHECK compares, GC removes what is not listed of its own network', () =>
  withBoth((pool, printer) => {
    const other = new LeaseNet(built('static'), pool.dataDir, 'other')
    printer.add('p1', fixed('10.1.0.3/29'))
    assert.equal(printer.add('p1', fixed('10.1.0.3/29', 'fd00::3/64')), ['10.1.0.3/29', 'fd00::3/64'])
    printer.add('p2', fixed('10.1.0.4/29'))
    other.add('p1', fixed('10.1.0.5/29'))
    const prevResult = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.4/29' }] }
    assert.is(printer.call('CHECK', 'p2', fixed('10.1.0.4/29'), { prevResult }).status, 0)
    const valid = [{ containerID: 'p1', ifname: 'eth0' }]
    assert.is(printer.call('GC', '', fixed(), { 'cni.dev/valid-attachments': valid }).status, 0)
    assert.equal(pool.leases(), ['10.1.0.3', '10.1.0.5', 'fd00::3'])
    assert.match(
      printer.call('CHECK', 'p2', fixed('10.1.0.4/29'), { prevResult }).message,
      /interface "eth0": "10\.1\.0\.4" is not leased to it$/
    )
    assert.is(printer.call('DEL', 'p1', fixed()).status, 0)
    assert.equal(pool.leases(), ['10.1.0.5'])
  }))

test("what an earlier boot reserved is nobody's: for static at once, for host-local when the pool is dry", () =>
  withBoth((pool, printer) => {
    printer.add('p1', fixed('10.1.0.3/29'))
    const path = join(pool.path, '10.1.0.3')
    writeFileSync(path, 'static printer gone eth0 00000000-0000-0000-0000-000000000000')
    assert.equal(printer.add('p2', fixed('10.1.0.3/29')), ['10.1.0.3/29'])
    writeFileSync(path, 'static printer gone eth0 00000000-0000-0000-0000-000000000000')
    const got = ['a', 'b', 'c', 'd', 'e'].map(id => pool.add(id, POOL)[0])
    assert.equal(
      got.sort(),
      [2, 3, 4, 5, 6].map(host => `10.1.0.${host}/29`)
    )
    assert.is(pool.call('ADD', 'f', POOL).code, 100)
  }))

test('without leasesOf there is no account; a name that cannot be one is refused by every verb', () =>
  withBoth((pool, printer) => {
    const plain = { addresses: [{ address: '10.1.0.3/29' }] }
    assert.equal(printer.add('p1', plain), ['10.1.0.3/29'])
    assert.equal(printer.add('p2', plain), ['10.1.0.3/29'])
    assert.equal(pool.leases(), [])
    for (const verb of ['ADD', 'DEL', 'STATUS']) {
      const answer = printer.call(verb, 'p1', { ...plain, leasesOf: '../net' })
      assert.is(answer.code, 7, verb)
      assert.match(answer.message, /^ipam\.leasesOf must be the name of a network/)
    }
  }))

test.run()
