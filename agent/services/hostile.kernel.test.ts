/** A host that was broken into writes what it likes below `services/`: the other hosts and good services go on. */
// needs: etcd etcdctl nft bridge
// time-out: 300 s
import { EchoServer } from '../../lib/testing/echo.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { inSite } from '../../lib/testing/overlay-site.ts'
import { answersFrom, asked, attach, makeServiceNetwork, service, tables, VIP } from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services, values of the registry that nobody should believe')

const GOOD = { id: '5'.repeat(64), network: 'blue', alias: 'evil', mode: 'vip', pool: 'blue' }
const PORT = { port: 8001, target: 80, protocol: 'tcp' }

const NAMES = ['a b', 'UPPER', 'a.b', '../../evil', '\u001b[31mred', 'x'.repeat(300), 'a"; drop']

const VALUES: readonly unknown[] = [
  null,
  7,
  { ...GOOD, id: 'x' },
  { ...GOOD, network: '../x' },
  { ...GOOD, alias: 'a\nb' },
  { ...GOOD, mode: 'proxy' },
  { ...GOOD, vips: ['127.0.0.1'] },
  { ...GOOD, vips: ['224.0.0.1'] },
  { ...GOOD, vips: ['0.0.0.0'] },
  { ...GOOD, vips: ['10.43.0.9', '10.43.0.8'] },
  { ...GOOD, vips: ['$(reboot)'] },
  { ...GOOD, publish: [{ ...PORT, port: 0 }] },
  { ...GOOD, publish: [{ ...PORT, protocol: 'icmp' }] },
  { ...GOOD, publish: Array.from({ length: 300 }, (_, i) => ({ ...PORT, port: i + 1 })) },
  { ...GOOD, mode: 'dnsrr', vips: ['10.43.0.9'] }
]

test('good services go on beside wrong names and values, of which nothing is used', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await makeServiceNetwork(site)
    const client = attach(site, 0, 'client')
    const boxes = [attach(site, 0, 'web1', 'web'), attach(site, 1, 'evil1', 'evil')]
    const servers = boxes.map(box => EchoServer.start(box.netns, box.id, ['tcp 80']))
    try {
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue', '-p', '8001:80').status, 0)
      await until('it serves', () => answersFrom(client.netns, VIP, 1)['web1'] === 1)
      for (const name of NAMES)
        site.etcd.ctl('put', `/patchbay/services/${name}`, JSON.stringify({ ...GOOD, vips: ['10.43.0.9'] }))
      // Before the good one and behind it, as the registry lists them.
      for (const [i, value] of VALUES.entries())
        for (const name of [`a${i}`, `z${i}`]) site.etcd.ctl('put', `/patchbay/services/${name}`, JSON.stringify(value))
      // The address of somebody else's, which containers of the network would be led away from.
      const away = { ...GOOD, created: '2000-01-01T00:00:00.000Z', vips: ['198.51.100.53'] }
      site.etcd.ctl('put', '/patchbay/services/away', JSON.stringify(away))
      // What comes last has been heard of when all before it has.
      const mark = { ...GOOD, alias: 'mark', vips: ['10.43.0.77'] }
      site.etcd.ctl('put', '/patchbay/services/zz', JSON.stringify(mark))
      for (const host of [0, 1])
        await until('all are heard of', () => service(site, host, 'ls', '-q').stdout === 'away\nweb\nzz\n')
      assert.equal(answersFrom(client.netns, VIP, 3), { web1: 3 })
      const { namespace, address } = site.lab.host(0)
      assert.equal(answersFrom(namespace, address, 3, 8001), { web1: 3 })
      const rules = client.netns.run('nft', ['list', 'table', 'ip', 'patchbay-services']).stdout
      assert.not.match(rules, /10\.43\.0\.9 |evil|reboot|drop"|198\.51/)
      const [shown] = JSON.parse(service(site, 0, 'inspect', 'away').stdout)
      const reason = 'network "blue" gives 10.43.0.2-10.43.255.254'
      assert.equal(shown.Refused, [{ What: '198.51.100.53', Reason: reason }])
      // The same for an agent that begins anew, and hears of all at once.
      await site.agent(0).kill()
      site.agent(0).restart()
      await until('it is there again', () => service(site, 0, 'ls', '-q').stdout.includes('zz'))
      assert.ok(tables(client.netns).includes('patchbay-services'))
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('of two services with one address and one port the older one has them, on every host, and the other one is told', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await makeServiceNetwork(site)
    const clients = [attach(site, 0, 'client0'), attach(site, 1, 'client1')]
    const boxes = [attach(site, 0, 'web1', 'web'), attach(site, 1, 'evil1', 'evil')]
    const servers = boxes.map(box => EchoServer.start(box.netns, box.id, ['tcp 80']))
    const inspected = (host: number, name: string) => JSON.parse(service(site, host, 'inspect', name).stdout)[0]
    try {
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue', '-p', '8001:80').status, 0)
      const copy = { ...GOOD, created: '2099-01-01T00:00:00.000Z', vips: [VIP], publish: [PORT] }
      site.etcd.ctl('put', '/patchbay/services/evil', JSON.stringify(copy))
      for (const host of [0, 1]) {
        await until('it is heard of', () => service(site, host, 'ls', '-q').stdout === 'evil\nweb\n')
        assert.equal(inspected(host, 'evil').Refused, [
          { What: VIP, Reason: 'service "web" has it' },
          { What: '8001/tcp', Reason: 'service "web" has it' }
        ])
        assert.equal(inspected(host, 'web').Refused, [])
        const said = service(site, host, 'ls').stderr
        assert.match(said, /service "evil" goes without 10\.43\.255\.254 \(service "web" has it\), 8001\/tcp/)
      }
      // An agent that begins anew hears of the other one first.
      await site.agent(1).kill()
      site.agent(1).restart()
      await until('it is there again', () => service(site, 1, 'ls', '-q').stdout === 'evil\nweb\n')
      for (const [i, { netns }] of clients.entries()) {
        assert.equal(answersFrom(netns, VIP, 3), { web1: 3 })
        const { namespace, address } = site.lab.host(i)
        await until('the port leads there', () => answersFrom(namespace, address, 1, 8001)['web1'] === 1)
        // Its name stands for its members.
        assert.is(asked(netns, 'evil'), boxes[1]?.address)
      }
      assert.is(service(site, 0, 'rm', 'web').status, 0)
      for (const { netns } of clients)
        await until('the other one has it', () => answersFrom(netns, VIP, 1)['evil1'] === 1)
      assert.equal(inspected(1, 'evil').Refused, [])
      // An address that is in no pool's list is taken all the same.
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue').status, 0)
      assert.equal(inspected(0, 'web').VirtualIPs, ['10.43.255.253'])
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('a container that puts something else in place of its table spoils nobody else’s view', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await makeServiceNetwork(site)
    const [client, evil] = [attach(site, 0, 'client'), attach(site, 0, 'evil')]
    const web = attach(site, 0, 'web1', 'web')
    const server = EchoServer.start(web.netns, web.id, ['tcp 80'])
    try {
      assert.is(service(site, 0, 'create', 'web', '--network', 'blue').status, 0)
      for (const { netns } of [client, evil]) await until('it serves', () => answersFrom(netns, VIP, 1)['web1'] === 1)
      const rules =
        'delete table ip patchbay-services\ntable ip patchbay-services {\nset sent {\ntype ipv4_addr\n}\n}\n'
      const put = evil.netns.run('nft', ['-f', '-'], { input: rules })
      assert.is(put.status, 0, put.stderr)
      const { status, stdout, stderr } = service(site, 0, 'inspect', 'web')
      assert.is(status, 0, stderr)
      assert.ok(JSON.parse(stdout)[0].Members[0].Sent.Packets > 0, stdout)
      assert.match(service(site, 0, 'ls').stderr, /count for services of blue:evil:eth0: .*EINVAL/)
      assert.equal(answersFrom(client.netns, VIP, 2), { web1: 2 })
      // A host without a container on the network asks the registry who is there.
      assert.is(service(site, 1, 'ps', 'web', '--format', '{{.Name}} {{.Host}} {{.State}}').stdout, 'web1 h0 running\n')
      assert.is(service(site, 1, 'ls', '--format', '{{.Name}} {{.Members}}').stdout, 'web 1\n')
    } finally {
      server.close()
    }
  })
})

test.run()
