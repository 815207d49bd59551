import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BOX, type FakeAttachment, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { dns, dnsname } from './dns.ts'

const test = suite('plugins/dns')

const PREV_RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'veth1' }, { name: 'eth0', sandbox: BOX }],
  ips: [
    { address: '10.4.0.2/24', interface: 1 },
    { address: 'fd00::2/64', interface: 1 }
  ],
  dns: { nameservers: ['192.0.2.53', '127.0.0.11', 'not an address'], search: ['example.org'] }
}
const NOWHERE = { registry: { socket: '/nonexistent/agent.sock' } }
const ID = '0123456789ab'.padEnd(64, 'c')

function withDns(config: object, body: (fake: FakeAttachment) => void): void {
  withFakeKernel(dns, { prevResult: PREV_RESULT, ...NOWHERE, ...config }, body)
}

function entryOf({ caller }: FakeAttachment, containerId = 'c1'): Record<string, unknown> {
  const [file = ''] = caller.journal().filter(name => name.includes(containerId))
  return JSON.parse(readFileSync(join(caller.directory, 'state', file), 'utf8'))
}

test('what is written down, the result, and a DEL by ids alone; lo is up', () => {
  withDns({ domainName: 'Lab.Example.', runtimeConfig: { aliases: { net1: ['Web', 'db_1', 'web'] } } }, fake => {
    const { caller, kernel } = fake
    const named = { args: 'IgnoreUnknown=1;K8S_POD_NAME=ubuntu2', containerId: ID }
    const result = caller.call('ADD', named)
    assert.is(result.status, 0)
    const search = ['example.org', 'lab.example']
    assert.equal(JSON.parse(result.stdout).dns, { nameservers: ['127.0.0.11'], search, options: ['ndots:0'] })
    assert.match(result.stderr, /^dns: reach the agent: .*; names are answered as soon as it runs\n$/)
    const { netns, netnsId, socket, runtime, ...rest } = entryOf(fake, ID)
    assert.equal(
      { netns, netnsId, socket, runtime },
      {
        netns: BOX,
        netnsId: kernel.open(BOX).id(),
        socket: NOWHERE.registry.socket,
        runtime: readFileSync(`/proc/${process.ppid}/comm`, 'utf8').trim()
      }
    )
    assert.equal(rest, {
      names: ['ubuntu2', 'web', 'db_1', '0123456789ab'],
      addresses: ['10.4.0.2', 'fd00::2'],
      domain: 'lab.example',
      upstreams: ['192.0.2.53'],
      cluster: true,
      format: 1
    })
    assert.ok(kernel.open(BOX).links.get('lo').isUp)
    caller.ok('CHECK', named)
    caller.ok('DEL', { containerId: ID, netns: '', config: { prevResult: null, domainName: null } })
    assert.equal(caller.journal(), [])
    caller.ok('DEL', { containerId: ID })
  })
})

test('what an earlier plugin says and what resolv.conf would read as something else is left out', () => {
  const hostile = 'evil\nnameserver 203.0.113.9'
  const dns = {
    domain: hostile,
    search: ['lab.example', hostile, 'two words', ''],
    options: ['edns0', `${hostile}\u001b`]
  }
  withDns({ prevResult: { ...PREV_RESULT, dns } }, ({ caller }) => {
    const { stdout, stderr } = caller.call('ADD')
    const said = { nameservers: ['127.0.0.11'], search: ['lab.example'], options: ['edns0', 'ndots:0'] }
    assert.equal(JSON.parse(stdout).dns, said)
    assert.ok(
      !stderr.includes('\u001b') &&
        stderr.includes('leave out "evil\\nnameserver 203.0.113.9" of prevResult.dns.domain')
    )
  })
})

test('aliases as the conventions have them, as podman sends them, and in args.cni; nerdctl’s host name', () => {
  withDns({}, fake => {
    const { caller } = fake
    caller.ok('ADD', {
      args: 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=box',
      config: { runtimeConfig: { aliases: ['one'] }, args: { cni: { aliases: { other: ['no'], net1: ['two'] } } } }
    })
    assert.equal(entryOf(fake)['names'], ['box', 'one', 'two', 'c1'])
    caller.ok('ADD', { containerId: `default-${ID}` })
    assert.equal(entryOf(fake, `default-${ID}`)['names'], ['0123456789ab'])
    // A second ADD of the same attachment replaces it.
    caller.ok('ADD')
    assert.equal(entryOf(fake)['names'], ['c1'])
  })
})

test('an alias that is no name is refused, with every other mistake; a name that the runtime chose is left out', () => {
  withDns({}, ({ caller }) => {
    const wrong = caller.fails('ADD', {
      config: {
        runtimeConfig: { aliases: [`${'x'.repeat(64)}`, 'a b', '-a', 'a..b', ''] },
        remoteServers: ['127.0.0.11', 'dns.example'],
        domainName: 'a/b',
        internal: 'yes'
      }
    })
    assert.is(wrong.code, 7)
    for (const part of [
      'at most 63 characters between dots',
      '"a b" must be of letters',
      'must not have an empty label',
      'must not be empty',
      'which would ask itself',
      'remoteServers must hold IP addresses',
      'domainName must be of letters',
      'internal must be true or false'
    ]) {
      assert.ok(wrong.msg.includes(part), `${part} in ${wrong.msg}`)
    }
    assert.equal(caller.journal(), [])
    const { status, stderr: said } = caller.call('ADD', { args: 'IgnoreUnknown=1;K8S_POD_NAME=no name\n\u001b[31m' })
    assert.is(status, 0)
    assert.ok(said.includes('leave out "K8S_POD_NAME=no name\\n\\u001b[31m": it is no host name\n'), said)
  })
})

test('an agent elsewhere, of a network that is this host’s alone; the caller’s own resolv.conf', () => {
  const agent = { socket: '/nonexistent/own.sock', timeout: 3 }
  withFakeKernel(dns, { prevResult: PREV_RESULT, agent }, fake => {
    const { caller } = fake
    const asked = { searches: ['corp.example', 'Lab.Example.'], options: ['ndots:2', 'timeout:1'] }
    const { status, stdout, stderr: said } = caller.call('ADD', { config: { runtimeConfig: { dns: asked } } })
    assert.is(status, 0, stdout)
    assert.match(said, /"\/nonexistent\/own\.sock"/)
    const { search, options } = JSON.parse(stdout).dns
    assert.equal({ search, options }, { search: asked.searches, options: asked.options })
    assert.equal([entryOf(fake)['socket'], entryOf(fake)['cluster']], [agent.socket, undefined])
    const wrong = caller.fails('ADD', {
      config: {
        agent: { socket: 'own.sock', timeout: 0 },
        registry: {},
        runtimeConfig: { dns: { searches: ['a b'], options: ['ndots:1\nnameserver 192.0.2.66', ''] } }
      }
    })
    for (const part of [
      'agent must not stand beside "registry"',
      'agent.timeout must be an integer from 1 to 120',
      'runtimeConfig.dns.searches must hold domains; "a b" must be of letters',
      'runtimeConfig.dns.options must hold words of resolv.conf'
    ])
      assert.ok(wrong.msg.includes(part), `${part} in ${wrong.msg}`)
  })
})

test('links of the caller, and the resolvers that it asks for', () => {
  withDns({ remoteServers: ['192.0.2.1'], runtimeConfig: { dns: { servers: ['192.0.2.9', '2001:db8::9'] } } }, fake => {
    const { caller } = fake
    const linked = { args: 'IgnoreUnknown=1;PATCHBAY_LINKS=DB:mysql,a b:x,cache:redis.blue,c:d:e' }
    caller.ok('ADD', linked)
    const { links, upstreams } = entryOf(fake)
    assert.equal(links, ['db:mysql', 'cache:redis.blue'])
    assert.equal(upstreams, ['192.0.2.9', '2001:db8::9'])
    caller.ok('CHECK', linked)
    assert.match(caller.fails('CHECK').msg, /it calls others by other names/)
    assert.match(
      caller.fails('ADD', { ...linked, config: { runtimeConfig: { dns: { servers: ['127.0.0.11'] } } } }).msg,
      /runtimeConfig\.dns\.servers.*must not hold 127\.0\.0\.11/
    )
  })
})

test('CHECK names every difference; GC removes what the runtime does not know', () => {
  withDns({}, fake => {
    const { caller } = fake
    caller.ok('ADD')
    caller.ok('ADD', { containerId: 'c2' })
    const wrong = caller.fails('CHECK', {
      config: {
        internal: true,
        domainName: 'x.example',
        remoteServers: ['192.0.2.1'],
        registry: null,
        runtimeConfig: { aliases: ['web'] },
        prevResult: { ...PREV_RESULT, ips: [{ address: '10.4.0.9/24', interface: 1 }] }
      }
    })
    assert.equal(wrong.msg.split('; ').length, 6, wrong.msg)
    assert.match(wrong.msg, /its names are "c1", not "c1 web"/)
    assert.is(caller.gc([{ containerID: 'c2', ifname: 'eth0' }]).status, 0)
    assert.equal(
      caller.journal().map(name => name.split('/')[1]),
      ['c2:eth0.dns.json']
    )
    assert.match(caller.fails('CHECK').msg, /written down nowhere/)
  })
})

test('the agent is told and asked; a name that it refuses undoes ADD; STATUS needs it', async () => {
  const taken = { ok: false, code: 7, msg: 'name the container "web": container "c9" on host "h2" has this name' }
  const daemon = new ScriptedDaemon()
  await daemon.during(
    { 'name-arrived': taken, 'name-left': { ok: true }, 'name-status': { ok: true } },
    ({ socket }) => {
      withDns({ registry: { socket, timeout: 5 } }, ({ caller }) => {
        assert.match(caller.fails('ADD').msg, /"c9" on host "h2"/)
        assert.equal(caller.journal(), [])
        caller.ok('STATUS')
      })
    }
  )
  const answering = new ScriptedDaemon()
  const unanswered = { ok: false, code: 100, msg: 'check: it is not answered' }
  await answering.during(
    { 'name-arrived': { ok: true }, 'name-left': { ok: true }, 'name-check': unanswered },
    async ({ socket }) => {
      withDns({ registry: { socket, timeout: 5 } }, ({ caller }) => {
        assert.is(caller.call('ADD').stderr, '')
        assert.match(caller.fails('CHECK').msg, /it is not answered/)
        caller.ok('DEL')
        caller.ok('DEL')
      })
      const asked = await answering.requests(3)
      assert.equal(
        asked.map(one => one['do']),
        ['name-arrived', 'name-check', 'name-left']
      )
    }
  )
  withDns({}, ({ caller }) => assert.is(caller.fails('STATUS').code, 50))
})

test('a dnsname network of podman works as it is, and its files are found by the agent', () => {
  const config = { prevResult: PREV_RESULT, domainName: 'dns.podman', multiDomain: true, remoteServers: ['192.0.2.9'] }
  withFakeKernel(dnsname, { ...config, capabilities: { aliases: true } }, fake => {
    fake.caller.ok('ADD', {
      args: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      config: { runtimeConfig: { aliases: { net1: ['w'] } } }
    })
    assert.equal(fake.caller.journal(), ['net1/c1:eth0.dns.json'])
    const { names, domain, upstreams } = entryOf(fake)
    assert.equal(
      { names, domain, upstreams },
      { names: ['web', 'w', 'c1'], domain: 'dns.podman', upstreams: ['192.0.2.9'] }
    )
  })
})

test.run()
