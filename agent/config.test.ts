import { hostname } from 'node:os'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { parseConfig } from './config.ts'
import { parseHosts } from './file-registry.ts'

const test = suite('agent/config')

test('defaults', () => {
  assert.equal(parseConfig('{"etcd": {"endpoints": ["https://10.0.0.1:2379"]}}'), {
    host: hostname(),
    socket: '/run/patchbay/agent.sock',
    stateDir: '/run/patchbay/agent',
    pluginStateDir: '/run/patchbay',
    confDir: '/etc/cni/net.d',
    registryDir: '/var/lib/patchbay/registry',
    underlay: { dev: '', local: '' },
    http: '',
    compareSeconds: 15,
    etcd: {
      endpoints: ['https://10.0.0.1:2379'],
      prefix: '/patchbay',
      ca: '',
      cert: '',
      key: '',
      username: '',
      passwordFile: '',
      leaseSeconds: 15,
      addressLeaseSeconds: 300
    },
    file: '',
    encryption: {
      directory: '/var/lib/patchbay/encryption',
      port: 51830,
      range: {
        address: { family: 6, bytes: new Uint8Array([0xfd, ...Array.from({ length: 15 }, () => 0)]) },
        length: 8
      },
      keepaliveSeconds: 0,
      trustFirst: true
    }
  })
})

test('encryption: the range is a network, and every mistake is told', () => {
  const { range } = parseConfig('{"encryption": {"range": "10.1.2.3/8"}}').encryption
  assert.equal(range, { address: { family: 4, bytes: new Uint8Array([10, 0, 0, 0]) }, length: 8 })
  const encryption = { directory: 'keys', port: 0, range: '10.0.0.0/17', keepaliveSeconds: -1 }
  const error = throwsLike(() => parseConfig(JSON.stringify({ encryption })), { name: 'ConfigError' })
  for (const part of [
    'encryption.directory must be an absolute path',
    'encryption.port must be an integer from 1',
    'encryption.range must leave 16 bits for the hosts',
    'encryption.keepaliveSeconds must be an integer from 0'
  ]) {
    assert.ok(error.message.includes(part), `${part} in ${error.message}`)
  }
})

test('without etcd the registry is a file', () => {
  const { etcd, file } = parseConfig('{}')
  assert.equal({ etcd, file }, { etcd: undefined, file: '/etc/patchbay/hosts.json' })
  assert.is(parseConfig('{"file": "/etc/hosts.json"}').file, '/etc/hosts.json')
})

test('every mistake at once', () => {
  const etcd = { endpoints: ['10.0.0.1'], prefix: 'p/', cert: '/c', username: 'u', leaseSeconds: 1 }
  const underlay = { dev: 'a b', local: '10.0.0' }
  const wrong = { host: 'a/b', http: '0.0.0.0:80', file: '/f', confDir: 'net.d', underlay, etcd }
  const error = throwsLike(() => parseConfig(JSON.stringify(wrong)), { name: 'ConfigError' })
  for (const part of [
    /etcd\.leaseSeconds must/,
    /etcd\.endpoints/,
    /etcd\.prefix/,
    /etcd\.cert/,
    /etcd\.username/,
    /host must/,
    /confDir must be an absolute path/,
    /underlay\.dev must be an interface name/,
    /underlay\.local must be an IP address/,
    /etcd and "file" exclude/,
    /http must/
  ]) {
    assert.match(error.message, part)
  }
})

test('the file of hosts', () => {
  assert.equal(parseHosts('{"hosts": ["192.0.2.1"], "networks": {"42": ["2001:db8::1"]}}'), {
    hosts: ['192.0.2.1'],
    networks: new Map([['42', ['2001:db8::1']]])
  })
  throwsLike(() => parseHosts('{"hosts": ["a"]}'), { message: /hosts must be a list of addresses/ })
  throwsLike(() => parseHosts('{"hosts": [], "networks": {"42": "x"}}'), { message: /networks\.42 must be/ })
  throwsLike(() => parseHosts('[]'), { message: /object/ })
})

test.run()
