import { assert, suite, throwsLike } from '../../lib/testing/suite.ts'
import { addHost } from './files.ts'
import { parseNetworks } from './network-words.ts'
import { type Port, parsePorts, portText } from './ports.ts'
import { absentAddresses } from './publish.ts'
import { resolverOf, searchAndOptionsOf } from './resolvers.ts'
import { type ContainerState, isRunning, remainsOf, startTimeOf } from './store.ts'

const test = suite('cli/run words')

const ENDED: ContainerState = { ...remainsOf('c1'), command: ['true'], created: '2026-01-01T00:00:00Z' }

function port(hostIP: string, hostPort: number, containerPort: number, protocol = 'tcp'): Port {
  return { hostIP, hostPort, containerPort, protocol }
}

test('ports in every form that Docker takes', () => {
  const cases: readonly (readonly [string, readonly Port[]])[] = [
    ['80', [port('', 0, 80)]],
    ['8080:80', [port('', 8080, 80)]],
    [':80', [port('', 0, 80)]],
    ['127.0.0.1:8080:80', [port('127.0.0.1', 8080, 80)]],
    ['127.0.0.1::80', [port('127.0.0.1', 0, 80)]],
    ['[::1]:8080:80', [port('::1', 8080, 80)]],
    ['53:53/udp', [port('', 53, 53, 'udp')]],
    ['8000-8002:80-82', [port('', 8000, 80), port('', 8001, 81), port('', 8002, 82)]],
    ['7000-7001/sctp', [port('', 0, 7000, 'sctp'), port('', 0, 7001, 'sctp')]]
  ]
  for (const [text, ports] of cases) assert.equal(parsePorts(text), ports, text)
  for (const text of [
    '',
    '0',
    '65536',
    '80:90:100:110',
    '81-80',
    '8000-8002:80-81',
    '80/icmp',
    '300.1.1.1:1:1',
    'x:80'
  ]) {
    throwsLike(() => parsePorts(text), { name: 'UsageError', message: /^read --publish/ })
  }
  assert.is(portText(port('::1', 8080, 80)), '[::1]:8080->80/tcp')
})

test('networks, one of which may not be the host', () => {
  assert.equal(parseNetworks([], 'bridge'), {
    kind: 'networks',
    wishes: [{ name: 'bridge', addresses: [], aliases: [], mac: undefined, ifName: undefined, gatewayPriority: 0 }]
  })
  assert.equal(parseNetworks(['blue,ip=10.0.0.9,ifname=net1,alias=Web,alias=db', 'green,gw-priority=-1'], 'bridge'), {
    kind: 'networks',
    wishes: [
      {
        name: 'blue',
        addresses: ['10.0.0.9'],
        aliases: ['web', 'db'],
        mac: undefined,
        ifName: 'net1',
        gatewayPriority: 0
      },
      { name: 'green', addresses: [], aliases: [], mac: undefined, ifName: undefined, gatewayPriority: -1 }
    ]
  })
  assert.equal(parseNetworks(['container:web'], ''), { kind: 'container', word: 'web' })
  throwsLike(() => parseNetworks(['host', 'blue'], ''), { name: 'UsageError', message: /goes with no other network/ })
  throwsLike(() => parseNetworks(['blue,alias=a b'], ''), {
    name: 'UsageError',
    message: /alias "a b": must be of letters/
  })
  throwsLike(() => parseNetworks(['blue,colour=x'], ''), { name: 'UsageError', message: /colour is unknown/ })
})

test('names that a container knows', () => {
  assert.equal(addHost('db:10.0.0.9'), { name: 'db', address: '10.0.0.9' })
  assert.equal(addHost('db:[fd00::1]'), { name: 'db', address: 'fd00::1' })
  assert.equal(addHost('host:host-gateway'), { name: 'host', address: 'host-gateway' })
  for (const text of ['db', ':10.0.0.1', 'db:x']) throwsLike(() => addHost(text), { name: 'UsageError' })
})

test('a command that had ended before anybody looked at its process is not running', () => {
  const state = { ...ENDED, pid: process.pid, startTime: '' }
  assert.is(isRunning({ ...state, startTime: startTimeOf(process.pid) }), true)
  assert.is(isRunning(state), false)
  assert.is(isRunning({ ...state, pid: 4_194_305 }), false, 'above the kernel’s largest number (PID_MAX_LIMIT)')
})

test('resolv.conf as Docker writes it: the resolver of names alone, search domains and options of the host unless asked', () => {
  const host = searchAndOptionsOf(
    'domain old.example\n# search x\nsearch corp.example\toffice\noptions edns0 ndots:5\noptions rotate\n'
  )
  assert.equal(host, { search: ['corp.example', 'office'], options: ['edns0', 'ndots:5', 'rotate'] })
  const nothing = { nameServers: [], search: [], options: [] }
  const named = { nameservers: ['127.0.0.11'], search: ['lab.example'], options: ['ndots:0'] }
  assert.equal(resolverOf(nothing, [named, { nameservers: ['192.0.2.53'] }, named], host), {
    nameServers: ['127.0.0.11'],
    search: ['lab.example', 'corp.example', 'office'],
    options: ['ndots:0', 'edns0', 'rotate']
  })
  const asked = { nameServers: ['192.0.2.9'], search: ['one.example'], options: ['timeout:1'] }
  assert.equal(resolverOf(asked, [named], host), {
    nameServers: ['127.0.0.11'],
    search: ['one.example'],
    options: ['timeout:1', 'ndots:0']
  })
  assert.equal(resolverOf({ ...nothing, search: ['.'], options: ['ndots:2'] }, [named], host), {
    nameServers: ['127.0.0.11'],
    search: [],
    options: ['ndots:2']
  })
  assert.equal(resolverOf(asked, [{ nameservers: ['192.0.2.53'] }], host), asked)
  assert.equal(resolverOf(nothing, [], host), nothing)
  const hostile = ['evil\nnameserver 203.0.113.9', 'two words', '']
  assert.equal(resolverOf(nothing, [{ nameservers: hostile, search: hostile, options: hostile }, named], host), {
    nameServers: ['127.0.0.11'],
    search: ['lab.example', 'corp.example', 'office'],
    options: ['ndots:0', 'edns0', 'rotate']
  })
})

test('ports at addresses of nobody are told, each address once', () => {
  const at = (hostIP: string) => ({ hostIP, hostPort: 80, containerPort: 80, protocol: 'tcp' })
  assert.equal(absentAddresses(['', '127.0.0.1', '127.8.8.8', '0.0.0.0', '::', '::1'].map(at)), [])
  assert.equal(absentAddresses(['203.0.113.9', '203.0.113.9', '2001:db8::9'].map(at)), [
    'patchbay: this host does not have 203.0.113.9: nobody reaches what is published there\n',
    'patchbay: this host does not have 2001:db8::9: nobody reaches what is published there\n'
  ])
})

test.run()
