/** `patchbay network` and networks of the cluster: the command on two hosts with an agent each, real plugins and a real etcd. */
// needs: bridge etcd etcdctl ip nft ping
// time-out: 600 s
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabAgent, until } from '../lib/testing/lab-agent.ts'
import type { Namespace } from '../lib/testing/namespace.ts'
import { inLab, type OverlayLab, pings } from '../lib/testing/overlay-lab.ts'
import { BIN_DIR, inSite } from '../lib/testing/overlay-site.ts'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('cli/network, of the cluster')

interface Answer {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** The command on a host of a lab. */
function patchbay(lab: OverlayLab, number: number, ...args: readonly string[]): Answer {
  const { namespace, directory } = lab.host(number)
  const [node, ...program] = patchbayProgram()
  const places = [
    `--conf-dir=${confDir(lab, number)}`,
    `--bin-dir=${BIN_DIR}`,
    `--cache-dir=${join(directory, 'cache')}`
  ]
  const verb = args[1] ?? ''
  const agent = ['create', 'ls', 'inspect', 'rm', 'prune'].includes(verb)
    ? [`--agent-socket=${join(directory, 'agent.sock')}`]
    : []
  mkdirSync(directory, { recursive: true })
  const { status, stdout, stderr } = namespace.run(node, [
    ...program,
    ...args.slice(0, 2),
    ...places,
    ...agent,
    ...args.slice(2)
  ])
  return { status, out: stdout, err: stderr }
}

function confDir(lab: OverlayLab, number: number): string {
  return join(lab.host(number).directory, 'net.d')
}

function done(lab: OverlayLab, number: number, ...args: readonly string[]): string {
  const { status, out, err } = patchbay(lab, number, ...args)
  assert.is(status, 0, `${args.join(' ')}: ${out}${err}`)
  return out
}

function hasFile(lab: OverlayLab, number: number, name: string): boolean {
  return existsSync(join(confDir(lab, number), `patchbay-${name}.conflist`))
}

/** A container on a network, by the command. */
function connected(lab: OverlayLab, number: number, network: string, name: string): Namespace {
  const container = lab.container()
  done(lab, number, 'network', 'connect', '--name', name, '--container-id', name, network, container.path)
  return container
}

/** The first address of an interface, as ip shows it. */
function addressOf(container: Namespace): string {
  const [link] = JSON.parse(container.run('ip', ['-j', '-4', 'address', 'show', 'dev', 'eth0']).stdout)
  return link.addr_info[0].local
}

test('one command makes a network on every host, whose containers reach, see and name each other', async () => {
  await inSite({ members: 1, hosts: 2 }, async ({ lab }) => {
    assert.is(
      done(lab, 0, 'network', 'create', '-d', 'overlay', '--subnet', '10.60.0.0/24', '--attachable', 'blue'),
      'blue\n'
    )
    await until('host 1 has it', () => hasFile(lab, 1, 'blue'))
    const [row] = JSON.parse(done(lab, 1, 'network', 'ls', '--json', '-f', 'scope=cluster'))
    assert.equal([row.Name, row.Driver, row.Scope, row.Subnets], ['blue', 'overlay', 'cluster', ['10.60.0.0/24']])

    const [plain] = JSON.parse(done(lab, 1, 'network', 'inspect', 'blue'))
    done(lab, 0, 'network', 'create', '-d', 'overlay', '--encrypted', 'secret')
    await until('host 1 has that one', () => hasFile(lab, 1, 'secret'))
    const [secret] = JSON.parse(done(lab, 1, 'network', 'inspect', 'secret'))
    assert.equal([plain.Options.encrypted, secret.Options.encrypted], [undefined, 'true'])
    assert.is(done(lab, 1, 'network', 'rm', 'secret'), 'secret\n')

    const one = connected(lab, 0, 'blue', 'web')
    const two = connected(lab, 1, 'blue', 'db')
    await until('they reach each other', () => pings(one, addressOf(two)))
    const [seen] = JSON.parse(done(lab, 0, 'network', 'inspect', 'blue'))
    assert.equal(seen.Id, row.ID)
    const { web } = seen.Containers
    assert.equal([web.Name, web.Host, web.State, web.Live.Up], ['web', 'h0', 'running', true])
    assert.equal(web.Live.Addresses[0], `${addressOf(one)}/24`)
    const { db } = seen.Containers
    assert.equal([db.Name, db.Host, db.Addresses, 'Live' in db], ['db', 'h1', [`${addressOf(two)}/24`], false])

    const taken = patchbay(lab, 1, 'network', 'connect', '--name', 'web', 'blue', lab.container().path)
    assert.is(taken.status, 1)
    assert.match(taken.err, /"web" on network "blue": container "web" on host "h0" has this name/)

    for (const force of [[], ['--force']]) {
      const refused = patchbay(lab, 0, 'network', 'rm', ...force, 'blue')
      assert.match(refused.err, /remove network "blue": "db" on host "h1" attached\n {2}what to do: disconnect/)
    }
    done(lab, 1, 'network', 'disconnect', 'blue', 'db')
    await until('host 0 hears', () => !/"db"/.test(done(lab, 0, 'network', 'inspect', 'blue')))
    assert.match(patchbay(lab, 0, 'network', 'rm', 'blue').err, /remove network "blue": web attached/)
    assert.is(done(lab, 0, 'network', 'rm', '--force', 'blue'), 'blue\n')
    await until('it is gone', () => [0, 1].every(host => !hasFile(lab, host, 'blue')))
    assert.is(one.run('ip', ['link', 'show', 'eth0']).status, 1)
  })
})

test('names, subnets and wishes that cannot be: the message names what is in the way', async () => {
  await inSite({ members: 1, hosts: 2 }, async ({ lab }) => {
    const create = (number: number, ...args: readonly string[]): Answer =>
      patchbay(lab, number, 'network', 'create', '-d', 'overlay', ...args)
    assert.is(create(0, 'blue', '--subnet', '10.60.0.0/24', '-o', 'vni=4242').status, 0)
    const refusals: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['blue'], 1, /"blue": the cluster has a network of this name since 20/],
      [
        ['red', '--subnet', '10.60.0.128/25'],
        1,
        /10\.60\.0\.128\/25 overlaps 10\.60\.0\.0\/24 of network "blue" of the cluster/
      ],
      [['red', '-o', 'vni=4242'], 1, /network "blue" of the cluster has the VNI 4242/],
      [['red', '-o', 'vni=0'], 2, /vni=0: must be a number from 1 to 16777215/],
      [['red', '-o', 'parent=eth0'], 2, /read -o parent: unknown/],
      [['red', '--subnet', '192.0.2.0/25'], 1, /overlaps 192\.0\.2\.0\/24 of interface/],
      [['red', '--gateway', '10.9.0.1', '--subnet', '10.8.0.0/24'], 2, /--gateway 10\.9\.0\.1: not in 10\.8\.0\.0\/24/],
      [['red', '--ipam-driver', 'dhcp'], 2, /gives addresses by ipam driver cluster, not "dhcp"/],
      [['red', '-d', 'bridge', '--encrypted'], 2, /--encrypted goes with driver overlay, not bridge/],
      [['red', '--scope', 'local'], 2, /--scope local: networks of driver overlay are on all hosts/],
      [['host'], 1, /the name means something else/]
    ]
    for (const [args, status, message] of refusals) {
      const answer = create(1, ...args)
      assert.match(answer.err, message)
      assert.is(answer.status, status, args.join(' '))
    }
    const local = patchbay(
      lab,
      1,
      'network',
      'create',
      '--subnet',
      '10.61.0.0/24',
      '--conf-dir',
      '/nonexistent',
      'blue'
    )
    assert.match(local.err, /create network "blue": the cluster has a network of this name since 20/)
    // Chosen on two hosts at a time: each has its own.
    const names = ['n1', 'n2', 'n3', 'n4']
    for (const name of names) assert.is(create(names.indexOf(name) % 2, name, '--ipv6', '--label', 'a=b').status, 0)
    await until('both have all', () => [0, 1].every(host => names.every(name => hasFile(lab, host, name))))
    const rows: { Subnets: string[] }[] = JSON.parse(done(lab, 0, 'network', 'ls', '--json', '-f', 'label=a=b'))
    const subnets = rows.flatMap(row => row.Subnets)
    assert.is(new Set(subnets).size, 8, subnets.join(' '))
    const dry = done(lab, 1, 'network', 'prune', '--dry-run', '--filter', 'label=a')
    assert.is(dry, names.map(name => `would remove ${name}\n`).join(''))
    assert.is(done(lab, 1, 'network', 'prune', '--force'), ['blue', ...names].map(name => `${name}\n`).join(''))
    await until('it is gone', () => [0, 1].every(host => readdirSync(confDir(lab, host)).length === 0))
  })
})

test('without an agent it is said plainly; what needs none goes on', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const made = patchbay(lab, 0, 'network', 'create', '--scope', 'cluster', 'blue')
    assert.is(made.status, 1)
    assert.match(made.err, /patchbay: reach the agent: .*agent\.sock.*ENOENT\n {2}what to do: start it: patchbay agent/)
    assert.is(done(lab, 0, 'network', 'ls', '-q'), 'host\nnone\n')
  })
})

test('an agent that is alone: the same on one host, over its restarts', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const agent = new LabAgent(lab, lab.host(0), { file: '/etc/patchbay/hosts.json' })
    await until('it listens', () => existsSync(agent.socket))
    const created = patchbay(lab, 0, 'network', 'create', '-d', 'overlay', '--subnet', '10.60.0.0/24', 'blue')
    assert.is(created.err, 'patchbay: the agent knows no other host: the network is on this one alone\n')
    const one = connected(lab, 0, 'blue', 'web')
    await agent.kill()
    agent.restart()
    await agent.whenReady()
    const two = connected(lab, 0, 'blue', 'db')
    assert.not.equal(addressOf(one), addressOf(two))
    assert.ok(pings(one, addressOf(two)))
    const again = patchbay(lab, 0, 'network', 'connect', '--name', 'web', 'blue', lab.container().path)
    assert.match(again.err, /container "web" on host "h0" has this name/)
    for (const name of ['web', 'db']) done(lab, 0, 'network', 'disconnect', 'blue', name)
    assert.is(done(lab, 0, 'network', 'rm', 'blue'), 'blue\n')
    assert.equal([readdirSync(confDir(lab, 0)), readdirSync(join(lab.host(0).directory, 'registry'))], [[], ['format']])
  })
})

test('somebody’s own file of the name: told by create, ls and the agent, and left as it is', async () => {
  await inSite({ members: 1, hosts: 2 }, async ({ lab }) => {
    const own = '{ "cniVersion": "1.0.0", "name": "blue", "plugins": [{ "type": "bridge", "bridge": "br9" }] }'
    mkdirSync(confDir(lab, 1), { recursive: true })
    writeFileSync(join(confDir(lab, 1), 'patchbay-blue.conflist'), own)
    const local = patchbay(lab, 1, 'network', 'create', '-d', 'overlay', 'blue')
    assert.match(local.err, /create network "blue": it exists already, in /)
    done(lab, 0, 'network', 'create', '-d', 'overlay', 'blue')
    await until('ls tells', () => /somebody else's/.test(done(lab, 1, 'network', 'ls', '-o', 'wide')))
    assert.is(readFileSync(join(confDir(lab, 1), 'patchbay-blue.conflist'), 'utf8'), own)
  })
})

test.run()
