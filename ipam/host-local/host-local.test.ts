import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LeaseNet, withLeases } from '../../lib/testing/lease-net.ts'
import { callInMemory } from '../../lib/testing/memory-io.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { hostLocal } from './host-local.ts'

const test = suite('ipam/host-local')

function withNet(body: (net: LeaseNet) => void): void {
  withLeases({ type: 'host-local', call: call => callInMemory(hostLocal(), call) }, body)
}

const dual = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] }
const small = { subnet: '10.1.0.0/29' }

test('ADD: one address of each set, with gateway, routes and dns', () =>
  withNet(net => {
    const resolvConf = join(net.dataDir, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 192.0.2.1\n')
    const routes = [{ dst: '0.0.0.0/0' }, { dst: 'fd01::/16', gw: 'fd00::9', mtu: 1400 }]
    const answer = net.call('ADD', 'c1', { ...dual, routes, resolvConf })
    assert.equal(answer.result, {
      cniVersion: '1.1.0',
      ips: [
        { address: '10.1.0.2/24', gateway: '10.1.0.1' },
        { address: 'fd00::2/64', gateway: 'fd00::1' }
      ],
      routes,
      dns: { nameservers: ['192.0.2.1'] }
    })
  }))

test('ADD: the next one gets the next address, also after a DEL', () =>
  withNet(net => {
    assert.equal(net.add('c1', small), ['10.1.0.2/29'])
    assert.equal(net.add('c2', small), ['10.1.0.3/29'])
    net.call('DEL', 'c2', small)
    assert.equal(net.add('c3', small), ['10.1.0.4/29'])
    net.add('c4', small)
    net.add('c5', small)
    assert.equal(net.add('c6', small), ['10.1.0.3/29'])
  }))

test('ADD again by the same owner gives the same; another interface another', () =>
  withNet(net => {
    const first = net.add('c1', dual)
    net.add('c2', dual)
    assert.equal(net.add('c1', dual), first)
    assert.equal(net.leases(), ['10.1.0.2', '10.1.0.3', 'fd00::2', 'fd00::3'])
    net.args = 'IP=10.1.0.2'
    assert.equal(net.add('c1', dual), first)
    net.args = 'IP=10.1.0.9'
    const other = net.call('ADD', 'c1', dual)
    assert.is(other.code, 101)
    assert.match(other.message, /"c1" interface "eth0" holds "10\.1\.0\.2" already/)
    assert.equal(net.leases(), ['10.1.0.2', '10.1.0.3', 'fd00::2', 'fd00::3'])
  }))

test('ADD again after a set was added gives the old address and one of the new set', () =>
  withNet(net => {
    net.add('c1', { ranges: [dual.ranges[0]] })
    assert.equal(net.add('c1', dual), ['10.1.0.2/24', 'fd00::2/64'])
    net.call('DEL', 'c1', dual)
    assert.equal(net.leases(), [])
  }))

test('requested addresses from all three places, with or without prefix length, each once', () =>
  withNet(net => {
    const more = { args: { cni: { ips: ['fd00::77'] } }, runtimeConfig: { ips: ['10.1.0.50/16', ''] } }
    net.args = 'IgnoreUnknown=1;IP=10.1.0.50;K=v'
    assert.equal(net.add('c1', dual, more), ['10.1.0.50/24', 'fd00::77/64'])
    net.args = ''
    assert.equal(net.add('c2', dual), ['10.1.0.51/24', 'fd00::78/64'])
    assert.equal(net.add('c3', dual, { RuntimeConfig: { IPs: ['10.1.0.40'] } }), ['10.1.0.40/24', 'fd00::79/64'])
  }))

test('requested addresses that cannot be had: nothing is leased, and the reason is told', () =>
  withNet(net => {
    const ipam = { ranges: [[{ subnet: '10.1.0.0/24', exclude: ['10.1.0.9'], rangeEnd: '10.1.0.100' }]] }
    net.add('c1', ipam)
    const cases: readonly (readonly [string, RegExp])[] = [
      ['10.1.0.1', /"10\.1\.0\.1" from ipam\.ranges\[0\]: it is the subnet's gateway/],
      ['10.1.0.9', /it is excluded/],
      ['10.1.0.2', /it is taken by container "c1" interface "eth0"/],
      ['10.1.0.101', /"10\.1\.0\.101": not in a range set/],
      ['fd00::1', /"fd00::1": not in a range set/],
      ['10.1.0.5,10.1.0.6', /"10\.1\.0\.6": not in a range set that has an address to give for it/]
    ]
    for (const [ip, message] of cases) {
      net.args = `IP=${ip}`
      const answer = net.call('ADD', 'c2', ipam)
      assert.is(answer.code, 101, ip)
      assert.match(answer.message, message)
    }
    assert.equal(net.leases(), ['10.1.0.2'])
    net.args = 'IP=nonsense'
    assert.is(net.call('ADD', 'c2', ipam).code, 4)
    net.args = ''
    assert.is(net.call('ADD', 'c2', ipam, { runtimeConfig: { ips: ['nonsense'] } }).code, 7)
  }))

test('runtimeConfig.ipRanges: lists of lists, the flat list of go-cni, any case, empty strings', () =>
  withNet(net => {
    const nested = { runtimeConfig: { ipRanges: [[{ subnet: '10.7.0.0/24', rangeStart: '10.7.0.9' }]] } }
    assert.equal(net.add('c1', small, nested), ['10.7.0.9/24', '10.1.0.2/29'])
    const none = { RangeStart: '', RangeEnd: '', Gateway: '' }
    const flat = {
      runtimeConfig: {
        ipRanges: [
          { Subnet: 'fd07::/64', ...none },
          { Subnet: '10.8.0.0/24', ...none },
          { Subnet: '', ...none },
          { Subnet: '10.9.0.0/24', ...none, Gateway: '10.9.0.7' }
        ]
      }
    }
    assert.equal(net.add('c2', {}, flat), ['10.8.0.2/24', 'fd07::2/64'])
    assert.is(net.call('ADD', 'c3', {}, { runtimeConfig: { ipRanges: [] } }).code, 7)
  }))

test('the flat form comes before ranges', () =>
  withNet(net => {
    assert.equal(net.add('c1', { ...small, ranges: [[{ subnet: '10.2.0.0/24' }]] }), ['10.1.0.2/29', '10.2.0.2/24'])
  }))

test('exclude: addresses, prefixes and ranges, for one range or all', () =>
  withNet(net => {
    const ipam = {
      ranges: [[{ subnet: '10.1.0.0/24', exclude: ['10.1.0.2-10.1.0.4', '10.1.0.8/29'] }]],
      exclude: ['10.1.0.6', 'fd00::/8']
    }
    assert.equal(net.add('c1', ipam), ['10.1.0.5/24'])
    assert.equal(net.add('c2', ipam), ['10.1.0.7/24'])
    assert.equal(net.add('c3', ipam), ['10.1.0.16/24'])
    assert.equal(net.add('f1', { subnet: '10.3.0.0/29', exclude: ['10.3.0.2 - 10.3.0.5'] }), ['10.3.0.6/29'])
  }))

test('the smallest subnets', () =>
  withNet(net => {
    const cases: readonly (readonly [object, readonly string[], string | undefined])[] = [
      [{ subnet: '10.2.0.0/31' }, ['10.2.0.1/31'], '10.2.0.0'],
      [{ subnet: '10.2.0.2/31', gateway: '10.2.0.3' }, ['10.2.0.2/31'], '10.2.0.3'],
      [{ subnet: '10.2.0.9/32' }, ['10.2.0.9/32'], undefined],
      [{ subnet: '10.2.0.10/32', gateway: '169.254.1.1' }, ['10.2.0.10/32'], '169.254.1.1'],
      [{ subnet: 'fd02::/127' }, ['fd02::1/127'], 'fd02::'],
      [{ subnet: 'fd02::9/128' }, ['fd02::9/128'], undefined],
      [{ subnet: '10.2.0.20/30' }, ['10.2.0.22/30'], '10.2.0.21'],
      [{ subnet: 'fd02::10/126' }, ['fd02::12/126'], 'fd02::11']
    ]
    for (const [i, [ipam, addresses, gateway]] of cases.entries()) {
      const answer = net.call('ADD', `c${i}`, ipam)
      assert.equal(answer.addresses, addresses, answer.message)
      assert.equal(answer.gateways, [gateway])
    }
    const full = net.call('ADD', 'd', { subnet: '10.2.0.0/31' })
    assert.match(full.message, /allocate from ipam \(10\.2\.0\.1\): 1 of 1 addresses are taken/)
    assert.is(net.call('ADD', 'd', { subnet: '10.2.0.30/32', gateway: '10.2.0.30' }).code, 7)
  }))

test('several ranges of one subnet in one set are used up one after the other', () =>
  withNet(net => {
    const of = (rangeStart: string, rangeEnd: string) => ({ subnet: '10.1.0.0/24', rangeStart, rangeEnd })
    const ipam = { ranges: [[of('10.1.0.10', '10.1.0.11'), { ...of('10.1.0.20', '10.1.0.21'), gateway: '10.1.0.11' }]] }
    // .11 is the gateway of the second range: nobody's, in the first neither.
    assert.equal(net.add('c1', ipam), ['10.1.0.10/24'])
    const second = net.call('ADD', 'c2', ipam)
    assert.equal([second.addresses, second.gateways], [['10.1.0.20/24'], ['10.1.0.11']])
    assert.equal(net.add('c3', ipam), ['10.1.0.21/24'])
    const full = net.call('ADD', 'c4', ipam)
    assert.is(full.code, 100)
    assert.match(full.message, /\(10\.1\.0\.10, 10\.1\.0\.20-10\.1\.0\.21\): 3 of 3 addresses are taken in ".*\/net"$/)
    net.call('DEL', 'c1', ipam)
    assert.equal(net.add('c4', ipam), ['10.1.0.10/24'])
  }))

test('a full second set takes nothing from the first', () =>
  withNet(net => {
    const ipam = { ranges: [[{ subnet: 'fd00::/64' }], [{ subnet: '10.1.0.0/30' }]] }
    net.add('c1', ipam)
    const full = net.call('ADD', 'c2', ipam)
    assert.is(full.code, 100)
    assert.match(full.message, /ipam\.ranges\[1\] \(10\.1\.0\.2\): 1 of 1/)
    assert.equal(net.leases(), ['10.1.0.2', 'fd00::2'])
    assert.equal(readdirSync(join(net.dataDir, '.patchbay', 'net')).sort(), ['c1:eth0', 'seal'])
  }))

test('a long run of taken neighbours is skipped, in a range of 2^64 too', () =>
  withNet(net => {
    mkdirSync(net.path)
    const subnet = 'fd00::/64'
    for (let i = 2; i < 600; i += 1) writeFileSync(join(net.path, `fd00::${i.toString(16)}`), `x${i}\r\neth0`)
    assert.equal(net.add('c1', { subnet }), ['fd00::258/64'])
    assert.equal(net.add('c2', { subnet }), ['fd00::259/64'])
  }))

test('files that were never finished are reclaimed, when met and when the pool runs dry', () =>
  withNet(net => {
    mkdirSync(net.path)
    writeFileSync(join(net.path, '10.1.0.2'), '')
    assert.equal(net.add('c1', small), ['10.1.0.2/29'])
    for (const last of [3, 4, 5]) net.add(`c${last}`, small)
    writeFileSync(join(net.path, '10.1.0.6'), '')
    assert.equal(net.add('c6', small), ['10.1.0.6/29'])
    writeFileSync(join(net.path, '10.1.0.4'), '\0\0\0')
    net.args = 'IP=10.1.0.4'
    assert.equal(net.add('c7', small), ['10.1.0.4/29'])
    net.args = ''
  }))

test('leases of an earlier boot are reclaimed when the pool runs dry, and not before', () =>
  withNet(net => {
    mkdirSync(net.path)
    for (const last of [2, 3]) {
      writeFileSync(join(net.path, `10.1.0.${last}`), `old${last}\r\neth0`)
      utimesSync(join(net.path, `10.1.0.${last}`), 1_000_000, 1_000_000)
    }
    assert.equal(net.add('c4', small), ['10.1.0.4/29'])
    net.add('c5', small)
    net.add('c6', small)
    assert.equal(net.leases().length, 5)
    assert.is(net.call('STATUS', '', small).status, 0)
    assert.equal(net.add('c7', small), ['10.1.0.2/29'])
    assert.equal(net.add('c8', small), ['10.1.0.3/29'])
    assert.is(net.call('ADD', 'c9', small).code, 100)
  }))

test('DEL: repeated, without any valid configuration, and with other people’s files untouched', () =>
  withNet(net => {
    net.add('c1', dual)
    net.add('c2', dual)
    for (const ipam of [{ ranges: 5 }, dual, {}]) assert.is(net.call('DEL', 'c1', ipam).status, 0)
    assert.equal(net.leases(), ['10.1.0.3', 'fd00::3'])
    assert.is(net.call('DEL', 'c9', dual).status, 0)
    // Not even a directory is made for a network that never was.
    assert.is(net.call('DEL', 'c9', { dataDir: join(net.dataDir, 'none') }).status, 0)
    assert.not.ok(existsSync(join(net.dataDir, 'none')))
    assert.is(net.call('DEL', 'c9', { dataDir: 5 }).code, 7)
  }))

test('CHECK: leases and prevResult must be the same addresses', () =>
  withNet(net => {
    const prevResult = net.call('ADD', 'c1', dual).result
    net.add('c2', dual)
    assert.is(net.call('CHECK', 'c1', dual, { prevResult }).status, 0)
    assert.is(net.call('CHECK', 'c1', dual).status, 0)
    const without = net.call('CHECK', 'c1', dual, { prevResult: { ...prevResult, ips: prevResult.ips?.slice(1) } })
    assert.is(without.code, 102)
    assert.match(without.message, /container "c1" interface "eth0": prevResult lacks "10\.1\.0\.2"$/)
    const wrong = { ...prevResult, ips: [{ address: '10.1.0.3/24' }, { address: 'fd00::2/64' }] }
    assert.match(
      net.call('CHECK', 'c1', dual, { prevResult: wrong }).message,
      /"10\.1\.0\.3", which is not leased to it$/
    )
    // Addresses of other plugins in the chain are not ours to judge.
    const more = { ...prevResult, ips: [...(prevResult.ips ?? []), { address: '192.168.0.9/24' }] }
    assert.is(net.call('CHECK', 'c1', dual, { prevResult: more }).status, 0)
    rmSync(join(net.path, 'fd00::2'))
    const gone = net.call('CHECK', 'c1', dual, { prevResult })
    assert.match(gone.message, /: no address of ipam\.ranges\[1\] .* is leased to it$/)
    assert.is(net.call('CHECK', 'c9', { ...dual, dataDir: join(net.dataDir, 'none') }).code, 102)
  }))

test('GC: keeps what is valid and what is not an attachment’s', () =>
  withNet(net => {
    for (const id of ['c1', 'c2', 'c3']) net.add(id, dual)
    writeFileSync(join(net.path, '10.1.0.200'), 'the printer')
    writeFileSync(join(net.path, '10.1.0.201'), '')
    writeFileSync(join(net.path, '10.1.0.202'), 'old1')
    writeFileSync(join(net.path, '10.1.0.203'), 'c2')
    const valid = [
      { containerID: 'c2', ifname: 'eth0' },
      { containerID: 'c1', ifname: 'eth1' }
    ]
    const gc = net.call('GC', '', dual, { 'cni.dev/valid-attachments': valid })
    assert.is(gc.status, 0, gc.message)
    assert.equal(net.leases(), ['10.1.0.200', '10.1.0.203', '10.1.0.3', 'fd00::3'])
    assert.is(net.call('GC', '', { dataDir: join(net.dataDir, 'none') }, { 'cni.dev/valid-attachments': [] }).status, 0)
  }))

test('STATUS: 50 with counts when a set is full; nothing is made', () =>
  withNet(net => {
    assert.is(net.call('STATUS', '', small).status, 0)
    assert.not.ok(existsSync(net.path))
    for (const id of ['c1', 'c2', 'c3', 'c4', 'c5']) {
      assert.is(net.call('STATUS', '', small).status, 0)
      net.add(id, small)
    }
    const full = net.call('STATUS', '', small)
    assert.is(full.code, 50)
    assert.match(full.message, /ipam \(10\.1\.0\.2-10\.1\.0\.6\) has 5 of 5 addresses taken$/)
    // Leases outside of the range don't count.
    assert.is(net.call('STATUS', '', { subnet: '10.2.0.0/29' }).status, 0)
    net.call('DEL', 'c3', small)
    assert.is(net.call('STATUS', '', small).status, 0)
  }))

test('configuration: every mistake is named with its path', () =>
  withNet(net => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [{}, /^ipam\.ranges must hold at least one range/],
      [{ ranges: [] }, /^ipam\.ranges must hold at least one range/],
      [{ ranges: [[]] }, /^ipam\.ranges must hold no empty set/],
      [{ ranges: [[{}]] }, /^ipam\.ranges\[0\]\[0\]\.subnet is required/],
      [{ ranges: [{ subnet: '10.1.0.0/24' }] }, /^ipam\.ranges\[0\] must be an array of objects/],
      [
        { subnet: '10.1.0.1/24' },
        /^ipam\.subnet must have no host bits, as in "10\.1\.0\.0\/24", got "10\.1\.0\.1\/24"/
      ],
      [{ subnet: '10.1.0.0' }, /^ipam\.subnet must be an IP address with prefix length, got "10\.1\.0\.0"/],
      [
        { subnet: '10.1.0.0/24', rangeStart: '10.2.0.1' },
        /^ipam\.rangeStart must be in 10\.1\.0\.0\/24, got "10\.2\.0\.1"/
      ],
      [{ subnet: '10.1.0.0/24', rangeEnd: 'fd00::1' }, /^ipam\.rangeEnd must be in 10\.1\.0\.0\/24/],
      [{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' }, /^ipam\.rangeEnd must not leave/],
      [{ subnet: '10.1.0.0/24', gateway: 'fd00::1' }, /^ipam\.gateway must be of the family of 10\.1\.0\.0\/24/],
      [
        { subnet: '10.1.0.0/24', exclude: ['10.1.0.9-10.1.0.8'] },
        /^ipam\.exclude must hold .* not "10\.1\.0\.9-10\.1\.0\.8"/
      ],
      [{ subnet: '10.1.0.0/24', exclude: ['0.0.0.0/0'] }, /^ipam\.subnet must leave at least one address/],
      [{ ranges: [[{ subnet: '10.1.0.0/24', exclude: ['10.2.0.0/24'] }]] }, /exclude must lie in 10\.1\.0\.0\/24/],
      [{ ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }]] }, /must not mix IPv4 and IPv6 in one set/],
      [
        { ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: '10.1.0.0/25' }]] },
        /must not overlap: 10\.1\.0\.1-10\.1\.0\.126/
      ],
      [{ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.0.0.0/8' }]] }, /has addresses of ipam\.ranges\[0\]/],
      [{ ...small, resolvConf: '/nonexistent' }, /^ipam\.resolvConf must be the path of a readable file/],
      [
        { ...small, routes: [{ dst: 'x' }, {}] },
        /^ipam\.routes\[0\]\.dst must be .*; ipam\.routes\[1\]\.dst is missing/
      ],
      [{ ...small, dataDir: 7 }, /^ipam\.dataDir must be a string, got 7/]
    ]
    for (const [ipam, message] of cases) {
      const answer = net.call('ADD', 'c1', ipam)
      assert.is(answer.code, 7, JSON.stringify(ipam))
      assert.match(answer.message, message)
    }
    assert.match(net.call('ADD', 'c1', undefined).message, /^ipam is required/)
    assert.equal(readdirSync(net.dataDir), [])
  }))

test('more sets, or wanted addresses, than anybody needs are refused', () =>
  withNet(net => {
    const sets = (count: number) =>
      Array.from({ length: count }, (_, i) => [{ subnet: `10.${i >> 8}.${i & 255}.0/29` }])
    assert.is(net.add('c1', { ranges: sets(1024) }).length, 1024)
    const many = net.call('ADD', 'c2', { ranges: sets(1025) })
    assert.match(many.message, /ipam\.ranges must have 1024 sets at most/)
    const ips = Array.from({ length: 1025 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    const wanted = net.call('ADD', 'c2', small, { runtimeConfig: { ips } })
    assert.match(wanted.message, /runtimeConfig\.ips must have 1024 members at most/)
  }))

test('every version: two addresses of one family need 0.3.0', () =>
  withNet(net => {
    const ipam = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/24' }]] }
    for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
      const answer = net.call('ADD', `c${cniVersion}`, ipam, { cniVersion })
      assert.is(answer.code, cniVersion < '0.3.0' ? 7 : undefined, cniVersion)
      const one = net.call('ADD', `d${cniVersion}`, dual, { cniVersion })
      assert.is(one.status, 0, `${cniVersion} ${one.message}`)
    }
  }))

test('a data directory that cannot be made is a clear error, and nothing is left', () =>
  withNet(net => {
    writeFileSync(join(net.dataDir, 'file'), '')
    const answer = net.call('ADD', 'c1', { ...small, dataDir: join(net.dataDir, 'file') })
    assert.is(answer.status, 1)
    assert.match(
      answer.message,
      /^ipam\.dataDir must be a directory that root alone can change, but ".*\/file" is no directory/
    )
    assert.is(readFileSync(join(net.dataDir, 'file'), 'utf8'), '')
  }))

test.run()
