/** Services on three hosts, each with an agent of its own, on a real etcd; containers attached by the command, as a person does. */
// needs: etcd etcdctl dig nft bridge
// time-out: 600 s
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EchoServer } from '../../lib/testing/echo.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { BIN_DIR, inSite } from '../../lib/testing/overlay-site.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import {
  answersFrom,
  asked,
  attach,
  detach,
  makeServiceNetwork,
  service,
  tables,
  VIP
} from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services')

test('made, found by name, balanced over hosts, followed, removed; nothing is left', async () => {
  await inSite({ members: 1 }, async site => {
    await makeServiceNetwork(site)
    const client = attach(site, 0, 'client')
    const made = service(site, 0, 'create', 'web', '--network', 'blue')
    assert.equal([made.status, made.stdout], [0, 'web\n'], made.stderr)
    await until('the service is refused', () => answersFrom(client.netns, VIP, 1)['ECONNREFUSED'] === 1)
    assert.is(asked(client.netns, 'web'), VIP)
    assert.is(asked(client.netns, 'tasks.web'), 'NOERROR')

    const boxes = [attach(site, 1, 'web1', 'web'), attach(site, 2, 'web2', 'web')]
    const servers = boxes.map(box => EchoServer.start(box.netns, box.id, ['tcp 80']))
    try {
      await until('both are members', () => asked(client.netns, 'tasks.web').split(' ').length === 2)
      assert.equal(answersFrom(client.netns, VIP, 10), { web1: 5, web2: 5 })
      assert.is(asked(client.netns, 'web.blue'), VIP)
      assert.is(asked(client.netns, '-x', VIP), 'web.blue.')
      // Who joins reaches it before ADD returns: no time to wait.
      const late = attach(site, 2, 'late')
      assert.equal(answersFrom(late.netns, VIP, 4), { web1: 2, web2: 2 })
      // So does a member itself.
      assert.equal(answersFrom(boxes[0]?.netns ?? client.netns, VIP, 4), { web1: 2, web2: 2 })

      const [shown] = JSON.parse(service(site, 0, 'inspect', 'web').stdout)
      assert.equal([shown.Network, shown.VirtualIPs, shown.Running], ['blue', [VIP], 2])
      for (const one of shown.Members) assert.ok(one.Sent.Packets >= 15, JSON.stringify(one))
      const { text } = await site.agent(0).get('/metrics')
      assert.match(
        text,
        /^patchbay_service_packets_total\{service="web",member="10\.43\.0\.\d+",direction="sent"\} \d+$/m
      )
      const listed = service(site, 1, 'ps', 'web', '--format', '{{.Name}} {{.Host}} {{.State}}').stdout
      assert.is(listed, 'web1 h1 running\nweb2 h2 running\n')

      detach(site, boxes[0] ?? client)
      await until('one is left', () => answersFrom(client.netns, VIP, 4)['web2'] === 4)
      for (const host of [0, 1]) {
        const again = service(site, host, 'create', 'web', '--network', 'blue')
        assert.match(again.stderr, /there is a service of this name on network "blue" since 20/)
      }
      const value = site.etcd.ctl('get', '--print-value-only', `/patchbay/addresses/blue/${VIP}`)
      assert.is(JSON.parse(value).containerId, 'service web')
      const kept = await site.agent(1).ask({ do: 'network-remove', name: 'blue' })
      assert.match(kept.msg ?? '', /^remove network "blue": services on it: web$/)
      assert.is(service(site, 2, 'rm', 'web').status, 0)
      await until('it is gone', () => !tables(client.netns).includes('patchbay-services'))
      assert.is(asked(client.netns, 'web'), asked(client.netns, 'tasks.web'))
      for (const box of [client, late, boxes[1] ?? late])
        await until('nothing is left', () => !tables(box.netns).includes('patchbay-services'))
      assert.equal(site.etcd.keys('/patchbay/services'), [])
      assert.equal(site.etcd.keys(`/patchbay/addresses/blue/${VIP}`), [])
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('on a network that one host has for itself its own containers are members, beside etcd', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    const { directory, namespace } = site.lab.host(0)
    const stateDir = join(directory, 'state')
    const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges: [[{ subnet: '10.45.0.0/28' }]] }
    const plugins = [
      { type: 'bridge', bridge: 'br45', isGateway: true, stateDir, ipam },
      { type: 'dns', stateDir, capabilities: { aliases: true } }
    ]
    mkdirSync(join(directory, 'net.d'), { recursive: true })
    const list = { cniVersion: '1.0.0', name: 'lan', plugins }
    writeFileSync(join(directory, 'net.d', 'lan.conflist'), JSON.stringify(list))
    const [node, ...first] = patchbayProgram()
    const places = [
      '--conf-dir',
      join(directory, 'net.d'),
      '--bin-dir',
      BIN_DIR,
      '--cache-dir',
      join(directory, 'cache')
    ]
    const container = site.lab.container().path
    const names = ['--container-id', 'web1', '--name', 'web1', '--alias', 'web']
    const made = namespace.run(node, [...first, 'attach', 'lan', container, ...names, ...places])
    assert.is(made.status, 0, made.stderr)
    assert.is(service(site, 0, 'create', 'web', '--network', 'lan').status, 0)
    await until('it is a member', () => service(site, 0, 'ps', 'web', '--format', '{{.Name}}').stdout === 'web1\n')
    const gone = namespace.run(node, [...first, 'detach', 'lan', '--container-id', 'web1', ...places])
    assert.is(gone.status, 0, gone.stderr)
  })
})

test.run()
