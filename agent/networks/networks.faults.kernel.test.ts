/** Networks of the cluster when something is away, killed, late, or hostile. */
// needs: bridge etcd etcdctl ip strace
// time-out: 600 s

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../../lib/testing/lab-agent.ts'
import { ok } from '../../lib/testing/overlay-lab.ts'
import { inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { programFromText } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ConfDir } from './conf-dir.ts'

const test = suite('agent/networks, faults')

interface Reply {
  readonly ok: boolean
  readonly code?: number
  readonly msg?: string
  // biome-ignore lint/suspicious/noExplicitAny: of unknown shape by nature
  readonly result?: any
}

function directory(site: OverlaySite, host: number): string {
  return join(site.lab.host(host).directory, 'net.d')
}

/** The networks that runtimes of a host find: one that is just being written is none. */
function files(site: OverlaySite, host: number): readonly string[] {
  mkdirSync(directory(site, host), { recursive: true })
  return readdirSync(directory(site, host))
    .sort()
    .filter(name => !/^\.patchbay-.*\.[0-9]+\.tmp$/.test(name))
    .map(name => /^patchbay-(.+)\.conflist$/.exec(name)?.[1] ?? name)
}

function create(site: OverlaySite, host: number, name: string, net: number): Promise<Reply> {
  const network = { ranges: [{ subnet: `10.${net}.0.0/24`, gateway: `10.${net}.0.1` }] }
  return site.agent(host).ask({ do: 'network-create', name, network, milliseconds: 5000 })
}

async function made(site: OverlaySite, host: number, name: string, net: number): Promise<void> {
  const reply = await create(site, host, name, net)
  assert.ok(reply.ok, reply.msg)
}

function remove(site: OverlaySite, host: number, name: string): Promise<Reply> {
  return site.agent(host).ask({ do: 'network-remove', name, milliseconds: 5000 })
}

/** A container on a network as the host's file has it. */
async function attach(site: OverlaySite, host: number, network: string, id: string): Promise<object> {
  const text = readFileSync(join(directory(site, host), `patchbay-${network}.conflist`), 'utf8')
  const plugin = { ...JSON.parse(text).plugins[0], name: network }
  await site.add(host, id, plugin)
  return plugin
}

test('etcd away: create and rm say so, files stay, over a restart too; then every host is as etcd is', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await made(site, 0, 'blue', 61)
    await until('host 1 has it', () => files(site, 1).join() === 'blue')
    await site.etcd.kill(0)
    await until('it is noticed', async () => !(await site.agent(0).ask({ do: 'status' })).ok)
    for (const reply of await Promise.all([create(site, 0, 'red', 62), remove(site, 0, 'blue')])) {
      assert.is(reply.code, 11)
      assert.match(reply.msg ?? '', /^reach the registry: ./)
    }
    await site.agent(1).kill()
    site.agent(1).restart()
    await until('it answers', async () => (await site.agent(1).ask({ do: 'networks' })).ok)
    const known = (await site.agent(1).ask({ do: 'networks' })) as Reply
    assert.equal(
      known.result.networks.map((one: { name: string }) => one.name),
      ['blue']
    )
    assert.equal([files(site, 0), files(site, 1)], [['blue'], ['blue']])
    site.etcd.restart(0)
    await Promise.all(site.agents.map(agent => agent.whenReady()))
    await made(site, 0, 'red', 62)
    await until('both have both', () => [0, 1].every(host => files(site, host).join() === 'blue,red'))
    assert.ok((await remove(site, 1, 'blue')).ok)
    await until('both have one', () => [0, 1].every(host => files(site, host).join() === 'red'))
  })
})

test('a host that was away or comes late has all; what was removed goes, but not under its containers', async () => {
  await inSite({ members: 1, hosts: 3 }, async site => {
    await site.agent(2).kill()
    for (const [name, net] of [
      ['blue', 61],
      ['red', 62],
      ['busy', 63]
    ] as const)
      await made(site, 0, name, net)
    // A file that is being written has another name until then.
    await until('host 1 has them', () => files(site, 1).join() === 'blue,busy,red')
    const plugin = await attach(site, 1, 'busy', 'c1')
    assert.match((await remove(site, 0, 'busy')).msg ?? '', /attached: "c1" on host "h1"/)

    // Cut off for longer than its lease: for the others it is gone, and with it who is on the network.
    site.lab.setPort(2, false)
    const { records } = JSON.parse(site.etcd.ctl('get', '--print-value-only', '/patchbay/hosts/h1'))
    site.etcd.ctl('lease', 'revoke', BigInt(records).toString(16))
    for (const name of ['busy', 'red']) await until(`${name} goes`, async () => (await remove(site, 0, name)).ok)
    await made(site, 0, 'green', 64)
    assert.equal(files(site, 1), ['blue', 'busy', 'red'])
    site.lab.setPort(2, true)
    await until('host 1 follows', () => files(site, 1).join() === 'blue,busy,green')

    site.agent(2).restart()
    await until('host 2 has all', () => files(site, 2).join() === 'blue,green')
    assert.equal(files(site, 0), ['blue', 'green'])
    assert.is((await site.call('DEL', 1, 'c1', plugin)).status, 0)
    await until('the last container is gone', () => files(site, 1).join() === 'blue,green')
    assert.equal(ok(site.lab.host(1).namespace, 'ip -o link').match(/vx\d+/g), null)
  })
})

test('an etcd that was set up anew gets the networks back, from agents that were started since, too', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    for (const [name, net] of [
      ['blue', 61],
      ['red', 62]
    ] as const)
      await made(site, 0, name, net)
    await until('host 1 has them', () => files(site, 1).join() === 'blue,red')
    const before = site.etcd.ctl('get', '--print-value-only', '/patchbay/networks/blue')
    for (const kill of [false, true]) {
      if (kill) await Promise.all(site.agents.map(agent => agent.kill()))
      await site.etcd.kill(0)
      site.etcd.forget(0)
      site.etcd.restart(0)
      await site.etcd.whenHealthy()
      if (kill) for (const agent of site.agents) agent.restart()
      await until('they are there', () => site.etcd.keys('/patchbay/networks/').length === 2)
      assert.is(site.etcd.ctl('get', '--print-value-only', '/patchbay/networks/blue'), before)
      for (const host of [0, 1]) assert.equal(files(site, host), ['blue', 'red'])
    }
    await until('it can be removed', async () => (await remove(site, 1, 'red')).ok)
    await until('it is gone', () => [0, 1].every(host => files(site, host).join() === 'blue'))
  })
})

test('whatever is written into the registry: no file but those of networks, and none that takes the host’s own subnet', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    await made(site, 0, 'blue', 61)
    const good = site.etcd.ctl('get', '--print-value-only', '/patchbay/networks/blue').trim()
    const put = (name: string, value: string): string => site.etcd.ctl('put', `/patchbay/networks/${name}`, value)
    const other = (more: object): string =>
      JSON.stringify({
        ...JSON.parse(good),
        vni: 99_999,
        ranges: [{ subnet: '10.70.0.0/24', gateway: '10.70.0.1' }],
        ...more
      })
    for (const name of ['../../evil', '..', 'a/b', '-x', 'x'.repeat(231), '10-first.conflist\n']) put(name, other({}))
    put('torn', good.slice(0, 80))
    put('number', '7')
    put('plugins', other({ plugins: [{ type: 'evil' }] }))
    put('underlay', other({ ranges: [{ subnet: '192.0.2.0/24', gateway: '192.0.2.1' }] }))
    put('all', other({ ranges: [{ subnet: '0.0.0.0/1', gateway: '0.0.0.1' }] }))
    put('good', other({}))
    await until('the good one is there', () => files(site, 0).includes('good'))
    assert.equal(files(site, 0), ['blue', 'good'])
    assert.equal(readdirSync(site.lab.host(0).directory).sort().includes('evil'), false)
    // What an agent says comes through a pipe, later than the file that tells that it has read everything.
    const said = [
      /"underlay" is not known to runtimes here: subnet 192\.0\.2\.0\/24 overlaps 192\.0\.2\.0\/24 of interface /,
      /network "plugins" is left out: plugins is unknown here/
    ]
    await until('both are told', () => said.every(one => one.test(site.agent(0).log)))
    // A good one that is overwritten stays as it was, on the host and for its containers.
    put('blue', '{}')
    await until('it is told', () => /network "blue" is left out/.test(site.agent(0).log))
    assert.equal(files(site, 0), ['blue', 'good'])
    site.etcd.ctl('del', '/patchbay/networks/blue')
    await until('it is gone', () => files(site, 0).join() === 'good')
  })
})

const PROGRAM = `
import { ConfDir } from './conf-dir.ts'
import { recordFromValue } from './record.ts'
const [path = '', value = '', revision = ''] = process.argv.slice(2)
const record = recordFromValue('blue', value)
if (typeof record === 'string') throw new Error(record)
const problem = new ConfDir(path, { socket: '/s', stateDir: '/t', underlay: { dev: '', local: '' } }).put({ record, revision: Number(revision) })
if (problem !== '') throw new Error(problem)
`

test('killed in the middle of writing: the old file or the new one, and nothing beside it', () => {
  const path = mkdtempSync(join(tmpdir(), 'patchbay-networks-'))
  const [node, ...program] = programFromText(PROGRAM, import.meta.dirname)
  const value = (vni: number): string =>
    JSON.stringify({
      id: 'ab'.repeat(32),
      vni,
      created: '2026-11-27T08:00:00.000Z',
      ranges: [{ subnet: '10.42.0.0/24', gateway: '10.42.0.1' }]
    })
  const put = (vni: number, ...inject: readonly string[]): number | null => {
    const tracing = inject.length === 0 ? [] : ['strace', '-f', '-o', '/dev/null', ...inject]
    const [command = '', ...args] = [...tracing, node, ...program, path, value(vni), String(vni)]
    return spawnSync(command, args).status
  }
  const confDir = new ConfDir(path, { socket: '/s', stateDir: '/t', underlay: { dev: '', local: '' } })
  try {
    for (const known of [undefined, 7]) {
      for (const call of ['fsync', 'renameat2', 'rename']) {
        const vni = known === undefined ? 8 : 9
        put(vni, '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=1`)
        const vnis = [...confDir.own().values()].map(one => one.record.vni)
        assert.ok([String(known ?? ''), String(vni)].includes(vnis.join()), `${call}: ${vnis.join()}`)
        assert.equal(readdirSync(path), vnis.length === 0 ? [] : ['patchbay-blue.conflist'])
        if (known === undefined) rmSync(join(path, 'patchbay-blue.conflist'), { force: true })
        else put(known)
      }
      assert.is(put(7), 0)
      assert.equal(
        [...confDir.own().values()].map(one => one.record.vni),
        [7]
      )
    }
    writeFileSync(join(path, 'patchbay-blue.conflist'), '{')
    assert.is(put(7), 1, 'a file that is torn is nobody’s to replace')
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
})

test.run()
