/** What is read from configurations, command lines and lease files. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Json, parseJson } from '../lib/config/json.ts'
import { parseAddress } from '../lib/ip/address.ts'
import { parsePrefix } from '../lib/ip/prefix.ts'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { parseFlags } from './flags.ts'
import { type Lease, LeaseStore, leaseFromText, leaseToText } from './lease.ts'
import { ANY_ADDRESS } from './message.ts'
import { clientIdOf, readOptionsConfig } from './options-config.ts'
import { client6Of } from './v6/exchange.ts'

const test = suite('dhcp: configuration')

function json(value: unknown): Json {
  return parseJson(JSON.stringify(value))
}

function provided(provide: unknown, args = ''): readonly (readonly [number, string])[] {
  return [...readOptionsConfig(json({ provide }), args).provide].map(([code, value]) => [
    code,
    Buffer.from(value).toString()
  ])
}

test('request: the usual ones and more, or only those', () => {
  assert.equal(readOptionsConfig(json({}), '').request, [1, 121, 3, 33, 6, 15, 119])
  assert.equal(
    readOptionsConfig(json({ request: [{ option: '42' }, { option: 'routers' }] }), '').request,
    [1, 121, 3, 33, 6, 15, 119, 42]
  )
  const only = [{ skipDefault: true }, { option: 'subnet-mask' }, { option: 3 }]
  assert.equal(readOptionsConfig(json({ request: only }), '').request, [1, 3])
  assert.is(readOptionsConfig(json({ priority: 50 }), '').priority, 50)
})

test('provide: names, numbers, arguments of the call before fixed values, the last of several', () => {
  const all = [
    { option: 'host-name', value: 'fixed', fromArg: 'NERDCTL_CNI_DHCP_HOSTNAME' },
    { option: 'user-class', value: 'a' },
    { option: '77', value: 'b' },
    { option: 'vendor-class-identifier', fromArg: 'ABSENT' },
    { option: 'dhcp-client-identifier', value: 'me' }
  ]
  assert.equal(provided(all, 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=web=1'), [
    [12, 'web=1'],
    [77, 'b'],
    [61, 'me']
  ])
  assert.equal(provided(all.slice(0, 1)), [[12, 'fixed']])
})

test('wrong options: all at once, each with its place', () => {
  const wrong = {
    request: [{ option: 'gateway' }, { option: '256' }, { skipDefault: 'yes' }],
    provide: [{ value: 'x' }, { option: '53', value: '1' }, { option: '12', value: 'x'.repeat(256) }],
    priority: -1
  }
  const { message } = throwsLike(() => readOptionsConfig(json(wrong), ''), { name: 'ConfigError' })
  for (const part of [
    /ipam\.request\[0\]\.option must be a number from 0 to 255 or one of .*routers.*, got "gateway"/,
    /ipam\.request\[1\]\.option must be/,
    /ipam\.request\[2\]\.skipDefault must be true or false/,
    /ipam\.provide\[0\]\.option is required/,
    /ipam\.provide\[1\]\.option must not be one that the exchange itself is made of/,
    /ipam\.provide\[2\]\.value must give 255 bytes at most/,
    /ipam\.priority must be an integer/
  ]) {
    assert.match(message, part)
  }
})

test("the client identifier: the reference's; names that are too long are hashed, each for itself", () => {
  assert.is(Buffer.from(clientIdOf('c1', 'net1', 'eth0')).toString(), '\0c1/net1/eth0')
  const [first, second] = ['eth0', 'eth1'].map(ifName => clientIdOf('x'.repeat(300), 'net', ifName))
  assert.is(first?.length, 33)
  assert.is(first?.[0], 0)
  assert.not.equal(first, second)
})

test('flags: as Go programs take them', () => {
  const flags = parseFlags([
    '-socketpath',
    '/s',
    '--timeout=1m30s',
    '-broadcast',
    '-resendmax',
    '500ms',
    '-resendtimeout=1.5h',
    '-hostprefix=/host'
  ])
  assert.equal(flags, {
    pidfile: '',
    hostprefix: '/host',
    socketpath: '/s',
    statedir: '/run/patchbay/dhcp',
    broadcast: true,
    timeout: 90_000,
    resendmax: 500,
    resendtimeout: 5_400_000
  })
  assert.equal(parseFlags(['-broadcast=false']), {
    ...flags,
    hostprefix: '',
    socketpath: '/run/cni/dhcp.sock',
    broadcast: false,
    timeout: 10_000,
    resendmax: 62_000,
    resendtimeout: 208_000
  })
  for (const wrong of [
    ['-port', '5'],
    ['x'],
    ['-timeout'],
    ['-timeout', '10'],
    ['-timeout=0s'],
    ['-broadcast=2'],
    ['-statedir', 'a']
  ]) {
    throwsLike(() => parseFlags(wrong), { message: /^read flags: / })
  }
})

const LEASE: Lease = {
  attachment: { network: 'net', containerId: 'c1', ifName: 'eth0' },
  netns: '/run/netns/x',
  netnsId: '4:42',
  mac: new Uint8Array([2, 0, 0, 0, 0, 1]),
  address: parsePrefix('192.0.2.7/24') ?? { address: ANY_ADDRESS, length: 0 },
  terms: {
    family: 4,
    client: {
      clientId: clientIdOf('c1', 'net', 'eth0'),
      options: { request: [1, 3], provide: new Map([[12, new Uint8Array([65])]]), priority: undefined, probe: 300 },
      broadcast: true
    },
    held: {
      address: parseAddress('192.0.2.7') ?? ANY_ADDRESS,
      server: parseAddress('192.0.2.1') ?? ANY_ADDRESS,
      serverMac: new Uint8Array([2, 0, 0, 0, 0, 9])
    }
  },
  moments: { renewAt: 1000.5, rebindAt: 2000, expireAt: Infinity },
  result: parseJson('{"ips":[{"address":"192.0.2.7/24"}]}'),
  isLost: false
}

const LEASE_6: Lease = {
  ...LEASE,
  address: parsePrefix('fd00::7/128') ?? LEASE.address,
  terms: {
    family: 6,
    client: client6Of('c1/net/eth0', 'web', 300),
    held: { address: parseAddress('fd00::7') ?? ANY_ADDRESS, server: new Uint8Array([0, 1, 2, 3]) }
  },
  result: parseJson('{"ips":[{"address":"fd00::7/128"}]}')
}

test('a lease file tells the same lease; of another boot, torn or changed it tells none', () => {
  for (const lease of [LEASE, LEASE_6]) {
    const text = leaseToText(lease, 'boot1')
    const read = leaseFromText(text, 'boot1', 'file')
    assert.equal(read, lease)
    assert.is(leaseFromText(text, 'boot2', 'file'), undefined)
    for (let length = 0; length < text.length; length += 1)
      assert.is(leaseFromText(text.slice(0, length), 'boot1', 'file'), undefined)
    const file = JSON.parse(text)
    const own = lease === LEASE ? ['server', 'provide', 'clientId'] : ['serverDuid', 'duid', 'iaid']
    for (const key of ['attachment', 'netns', 'mac', 'address', 'renewAt', ...own]) {
      assert.is(leaseFromText(JSON.stringify({ ...file, [key]: { x: 1 } }), 'boot1', 'file'), undefined, key)
    }
  }
})

test('a lease file of a newer daemon is told and stays; of an older one it is read', () => {
  const file = JSON.parse(leaseToText(LEASE, 'boot1'))
  const { format, ...older } = file
  assert.is(format, 1)
  assert.equal(leaseFromText(JSON.stringify(older), 'boot1', 'file'), LEASE)
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-leases-'))
  try {
    const store = new LeaseStore(directory, 'boot1')
    store.put(LEASE)
    const path = join(directory, 'leases', readdirSync(join(directory, 'leases'))[0] ?? '')
    writeFileSync(path, JSON.stringify({ ...file, format: 2 }))
    const said: string[] = []
    assert.equal(
      store.read(line => said.push(line)),
      []
    )
    assert.match(
      said.join(),
      /^read ".*\.json": it is of format 2, and this version of Patchbay knows 1: it is not renewed/
    )
    assert.ok(existsSync(path))
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('families: IPv4 unless said otherwise; probe: 300 ms unless said otherwise', () => {
  const read = (ipam: object) => readOptionsConfig(json(ipam), '')
  assert.equal(read({}).families, [4])
  assert.equal(read({ families: [] }).families, [4])
  assert.equal(read({ families: ['ipv6', 'ipv4'] }).families, [4, 6])
  assert.equal(read({ families: ['ipv6'] }).families, [6])
  assert.is(read({}).probe, 300)
  assert.is(read({ probe: 0 }).probe, 0)
  const { message } = throwsLike(() => read({ families: ['inet6'], probe: -1 }), { name: 'ConfigError' })
  assert.match(message, /ipam\.families must hold "ipv4", "ipv6" or both, got \["inet6"\]/)
  assert.match(message, /ipam\.probe must be an integer from 0 to 10000/)
})

test.run()
