/** Networks of the cluster on hosts with an agent each, on a real etcd; judged by etcdctl, the files, ip and ping. */
// needs: bridge etcd etcdctl ping
// time-out: 600 s
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../lib/testing/lab-agent.ts'
import { inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/networks')

interface Reply {
  readonly ok: boolean
  readonly code?: number
  readonly msg?: string
  // biome-ignore lint/suspicious/noExplicitAny: of unknown shape by nature
  readonly result?: any
}

const RANGE = { subnet: '10.43.0.0/24', gateway: '10.43.0.1' }

function fileOf(site: OverlaySite, host: number, name: string): string {
  return join(site.lab.host(host).directory, 'net.d', `patchbay-${name}.conflist`)
}

function create(site: OverlaySite, host: number, name: string, more: object = {}): Promise<Reply> {
  return site.agent(host).ask({ do: 'network-create', name, network: { ranges: [RANGE], ...more } })
}

function remove(site: OverlaySite, host: number, name: string): Promise<Reply> {
  return site.agent(host).ask({ do: 'network-remove', name })
}

test('made on one host, there on all; names, subnets and VNIs are one network’s alone; gone with rm', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const made = await create(site, 0, 'blue', { labels: { tier: 'front' } })
    assert.ok(made.ok, made.msg)
    const { vni, id } = made.result.network
    assert.ok(existsSync(fileOf(site, 0, 'blue')))
    await until('host 1 has it', () => existsSync(fileOf(site, 1, 'blue')))
    const text = readFileSync(fileOf(site, 1, 'blue'), 'utf8')
    const { name, labels, plugins, patchbay } = JSON.parse(text)
    assert.equal([name, labels, patchbay.network.id], ['blue', { tier: 'front' }, id])
    assert.equal(
      plugins.map((one: { type: string }) => one.type),
      ['vxlan', 'portmap', 'firewall', 'dns']
    )
    assert.equal([plugins[0].vni, plugins[0].ipam.ranges], [vni, [[RANGE]]])
    const { mode, uid } = statSync(fileOf(site, 1, 'blue'))
    assert.equal([mode & 0o7777, uid], [0o644, 0])

    const value = JSON.parse(site.etcd.ctl('get', '--print-value-only', '/patchbay/networks/blue'))
    assert.equal([value.id, value.vni, value.ranges], [id, vni, [RANGE]])
    assert.is(JSON.parse(site.etcd.ctl('get', '-w', 'json', '/patchbay/networks/blue')).kvs[0].lease ?? 0, 0)

    const again = await create(site, 1, 'blue', { ranges: [{ subnet: '10.44.0.0/24', gateway: '10.44.0.1' }] })
    assert.match(again.msg ?? '', /^create network "blue": the cluster has a network of this name since 20/)
    const clash = await create(site, 1, 'green', { ranges: [{ subnet: '10.43.0.128/25', gateway: '10.43.0.129' }] })
    assert.is(
      clash.msg,
      'create network "green": subnet 10.43.0.128/25 overlaps 10.43.0.0/24 of network "blue" of the cluster'
    )
    const other = { ranges: [{ subnet: '10.45.0.0/24', gateway: '10.45.0.1' }] }
    const number = await create(site, 1, 'green', { ...other, vni })
    assert.is(number.msg, `create network "green": network "blue" of the cluster has the VNI ${vni}`)
    assert.ok((await create(site, 1, 'green', other)).ok)

    assert.ok((await remove(site, 1, 'blue')).ok)
    await until('it is gone everywhere', () => [0, 1].every(host => !existsSync(fileOf(site, host, 'blue'))))
    assert.is(site.etcd.ctl('get', '--keys-only', '--prefix', '/patchbay/networks/').trim(), '/patchbay/networks/green')
    assert.match((await remove(site, 0, 'blue')).msg ?? '', /the cluster has none of this name/)
  })
})

test('containers of all hosts are seen, and rm is refused while there is one', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    assert.ok((await create(site, 0, 'blue')).ok)
    await until('host 1 has it', () => existsSync(fileOf(site, 1, 'blue')))
    const plugin = JSON.parse(readFileSync(fileOf(site, 1, 'blue'), 'utf8')).plugins[0]
    const box = await site.add(1, 'c1', { ...plugin, name: 'blue', registry: { ...plugin.registry, timeout: 60 } })
    const seen = (await site.agent(0).ask({ do: 'network-containers', name: 'blue' })) as Reply
    assert.equal(
      seen.result.containers.map((one: { host: string; containerId: string; ips: string[] }) => [
        one.host,
        one.containerId,
        one.ips
      ]),
      [['h1', 'c1', box.ips]]
    )
    assert.is((await remove(site, 0, 'blue')).msg, 'remove network "blue": attached: "c1" on host "h1"')
    assert.is((await site.call('DEL', 1, 'c1', { ...plugin, name: 'blue' })).status, 0)
    await until('it can be removed', async () => (await remove(site, 0, 'blue')).ok)
  })
})

test('a network that a service is on stays', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    assert.ok((await create(site, 0, 'blue')).ok)
    const service = { created: '2026-11-27T08:00:00.000Z', network: 'blue', alias: 'web', mode: 'dnsrr' }
    const key = '/patchbay/services/web'
    site.etcd.ctl('put', key, JSON.stringify({ ...service, id: 'ab'.repeat(32), vips: [], pool: 'blue' }))
    assert.is((await remove(site, 0, 'blue')).msg, 'remove network "blue": services on it: web')
    site.etcd.ctl('del', key)
    assert.ok((await remove(site, 0, 'blue')).ok)
  })
})

test('a file that a person wrote or changed is not touched', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const own = '{ "cniVersion": "1.0.0", "name": "blue", "plugins": [{ "type": "bridge" }] }'
    mkdirSync(join(site.lab.host(1).directory, 'net.d'))
    writeFileSync(fileOf(site, 1, 'blue'), own)
    assert.ok((await create(site, 0, 'blue')).ok)
    await until('host 1 says so', () =>
      /"blue" is not known to runtimes here: .* is somebody else’s|somebody else's/.test(site.agent(1).log)
    )
    assert.is(readFileSync(fileOf(site, 1, 'blue'), 'utf8'), own)
    const edited = readFileSync(fileOf(site, 0, 'blue'), 'utf8').replace('same-bridge', 'isolated')
    writeFileSync(fileOf(site, 0, 'blue'), edited)
    assert.ok((await remove(site, 1, 'blue')).ok)
    await until(
      'it is gone',
      async () => ((await site.agent(0).ask({ do: 'networks' })) as Reply).result.networks.length === 0
    )
    assert.is(readFileSync(fileOf(site, 0, 'blue'), 'utf8'), edited)
    assert.is(readFileSync(fileOf(site, 1, 'blue'), 'utf8'), own)
  })
})

test.run()
