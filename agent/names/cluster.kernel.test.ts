/** Names on two hosts, each with an agent of its own, on a real etcd; plugin, agent and registry as they are installed. */
// needs: etcd etcdctl dig
// time-out: 300 s

import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import type { LabReply } from '../../lib/testing/overlay-lab.ts'
import { inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/names, on several hosts')

interface Wanted {
  readonly id: string
  readonly address: string
  readonly name?: string
  readonly aliases?: readonly string[]
  readonly netns?: Namespace
}

/** Calls dns on a host behind a plugin that has given `eth0` this address. */
function call(site: OverlaySite, command: string, number: number, wanted: Wanted): Promise<LabReply> {
  const { id, address, name, aliases, netns } = wanted
  const interfaces = [{ name: 'eth0', sandbox: netns?.path ?? '' }]
  const config = {
    type: 'dns',
    name: 'blue',
    internal: true,
    registry: { socket: site.agent(number).socket, timeout: 60 },
    runtimeConfig: { aliases: aliases ?? [] },
    prevResult: { cniVersion: '1.1.0', interfaces, ips: [{ address: `${address}/24`, interface: 0 }] }
  }
  return site.lab.start(site.lab.host(number), command, config, {
    id,
    netns: netns?.path ?? '',
    args: name === undefined ? '' : `IgnoreUnknown=1;K8S_POD_NAME=${name}`
  })
}

async function add(site: OverlaySite, number: number, wanted: Wanted): Promise<Namespace> {
  const netns = site.lab.container()
  const reply = await call(site, 'ADD', number, { ...wanted, netns })
  assert.is(reply.status, 0, `${reply.stdout}${reply.stderr}`)
  assert.is(reply.stderr, '')
  return netns
}

/** What dig says in the container: addresses, or the response code. */
function asked(where: Namespace, name: string): string {
  const { stdout } = where.run('dig', ['@127.0.0.11', '+time=20', '+tries=1', name])
  const addresses = [...stdout.matchAll(/\sIN\sA\s(\S+)/g)].map(match => match[1]).sort()
  return addresses.length > 0 ? addresses.join(' ') : (/status: (\w+)/.exec(stdout)?.[1] ?? stdout)
}

test('names are known on the other host, gone with DEL, and one container’s alone; aliases are shared', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const one = await add(site, 0, { id: 'ubuntu2', address: '10.4.0.2', aliases: ['web'] })
    const two = await add(site, 1, { id: 'ubuntu3', address: '10.4.0.3', aliases: ['web'] })
    // What was there when a container came is known to it at once.
    assert.is(asked(two, 'ubuntu2'), '10.4.0.2')
    assert.is(asked(two, 'web'), '10.4.0.2 10.4.0.3')
    await until('host 0 knows', () => asked(one, 'ubuntu3.blue') === '10.4.0.3')

    const stranger = site.lab.container()
    const taken = await call(site, 'ADD', 1, { id: 'other', name: 'ubuntu2', address: '10.4.0.9', netns: stranger })
    assert.is(taken.json.code, 7, taken.stdout)
    assert.match(taken.json.msg, /"ubuntu2" on network "blue": container "ubuntu2" on host "h0" has this name/)
    assert.is(asked(one, 'ubuntu2'), '10.4.0.2')
    assert.is(stranger.run('nft', ['list', 'tables']).stdout, '')

    assert.is(
      (await call(site, 'CHECK', 0, { id: 'ubuntu2', address: '10.4.0.2', aliases: ['web'], netns: one })).status,
      0
    )
    assert.is((await call(site, 'DEL', 0, { id: 'ubuntu2', address: '10.4.0.2' })).status, 0)
    await until('its names are gone', () => asked(two, 'ubuntu2') === 'NXDOMAIN' && asked(two, 'web') === '10.4.0.3')
    assert.not.match(site.etcd.ctl('get', '--prefix', '--keys-only', '/patchbay/name'), /ubuntu2/)
    await add(site, 1, { id: 'ubuntu2', address: '10.4.0.9' })
    await until('the name is another’s', () => asked(two, 'ubuntu2') === '10.4.0.9')
  })
})

test('an agent that starts again writes what is there; the names of a dead host go with its lease', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await add(site, 0, { id: 'one', address: '10.4.0.2' })
    const two = await add(site, 1, { id: 'two', address: '10.4.0.3' })
    await site.agent(0).kill()
    assert.is(asked(two, 'one'), '10.4.0.2')
    const { records } = JSON.parse(site.etcd.ctl('get', '--print-value-only', '/patchbay/hosts/h0'))
    site.etcd.ctl('lease', 'revoke', BigInt(records).toString(16))
    await until('the name of the dead host is gone', () => asked(two, 'one') === 'NXDOMAIN')
    site.agent(0).restart()
    await site.agent(0).whenReady()
    await until('it is back', () => asked(two, 'one') === '10.4.0.2')
  })
})

test('what another host writes is judged', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    const one = await add(site, 0, { id: 'one', address: '10.4.0.2' })
    const put = (name: string, value: string): string => site.etcd.ctl('put', `/patchbay/names/blue/${name}`, value)
    put('h9/evil/eth0', '{"names":["a b","../x",7,"good"],"addresses":["127.0.0.1","0.0.0.0","224.0.0.1","10.4.0.66"]}')
    put('h9/torn/eth0', '{"names":')
    put('h9/too/many/parts', '{"names":["parts"],"addresses":["10.4.0.67"]}')
    put('h0/self/eth0', '{"names":["self"],"addresses":["10.4.0.68"]}')
    await until('the good part is known', () => asked(one, 'good') === '10.4.0.66')
    for (const name of ['parts', 'self', 'x']) assert.is(asked(one, name), 'NXDOMAIN', name)
    assert.is(asked(one, 'one'), '10.4.0.2')
  })
})

test.run()
