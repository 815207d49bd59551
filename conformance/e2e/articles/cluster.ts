/**
 * The articles on overlay networks with a key-value store and on the swarm's services, on two hosts with etcd: what is made on
 * one is there on the other; containers reach and name each other; a service has one address, and port 8001 on any host.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { until } from '../command.ts'
import { HOST_IPV4, OUTSIDE } from '../host.ts'
import { WEB } from '../image.ts'
import type { Patchbay } from '../patchbay.ts'
import { answerOf, who } from '../reach.ts'
import { SECOND_IPV4, type SecondHost } from '../second-host.ts'
import type { Case } from '../suite.ts'

export interface Hosts {
  /** The suite's own host. */
  readonly first: Patchbay
  readonly second: Patchbay
  readonly firstName: string
  readonly secondHost: SecondHost
}

const PATIENCE_MS = 30_000
const SERVE = `busybox httpd -f -p 80 -h ${WEB}`

export function cluster(hosts: Hosts): readonly Case[] {
  return [
    { name: 'overlay: made on one host, there on the other; pings and names between them', body: () => overlay(hosts) },
    { name: 'overlay: a name is taken in the whole cluster', body: () => takenName(hosts) },
    {
      name: 'service: one name and address for members of two hosts, port 8001 of any host',
      body: () => service(hosts)
    }
  ]
}

async function withNetwork({ first, second }: Hosts, body: () => Promise<void>): Promise<void> {
  // $ docker network create -d overlay --subnet 10.60.0.0/24 demo
  equal(first.run('network create -d overlay --subnet 10.60.0.0/24 demo'), 'demo')
  try {
    await until('the network on the other host', PATIENCE_MS, () => has(second, 'demo') || undefined)
    await body()
  } finally {
    for (const host of [first, second]) host.outcome('rm -f c1 c2 w1 w2')
    await until('the network to be removed', PATIENCE_MS, () =>
      first.outcome('network rm demo').status === 0 ? true : undefined
    )
    await until('it to go from the other host', PATIENCE_MS, () => !has(second, 'demo') || undefined)
  }
}

function has(host: Patchbay, network: string): boolean {
  return host.run('network ls -q').split('\n').includes(network)
}

async function overlay(hosts: Hosts): Promise<void> {
  const { first, second, firstName, secondHost } = hosts
  await withNetwork(hosts, async () => {
    // $ docker network ls; docker network inspect demo
    match(second.run('network ls -f driver=overlay --format {{.Name}}:{{.Scope}}'), /^demo:cluster$/)
    const id = first.run('network inspect -f {{.Id}} demo')
    equal(second.run('network inspect -f {{.Id}} demo'), id)
    // $ docker run -d --name c1 --network demo busybox sleep 600
    first.run('run -d --name c1 --network demo busybox sleep 600')
    second.run('run -d --name c2 --network demo busybox sleep 600')
    const [one, two] = [first.address('c1'), second.address('c2')]
    match(`${one} ${two}`, /^10\.60\.0\.\d+ 10\.60\.0\.\d+$/)
    ok(one !== two)
    // $ docker exec c1 ping c2; docker exec c2 ping c1
    for (const [host, from, to] of [
      [first, 'c1', two],
      [second, 'c2', one],
      [first, 'c1', 'c2'],
      [second, 'c2', 'c1']
    ] as const)
      await until(`${from} to reach ${to}`, PATIENCE_MS, () => host.pings(from, to) || undefined)
    // $ docker network inspect demo
    const shown = first.run(
      'network inspect demo -f',
      '{{range .Containers}}{{.Name}} {{.Host}} {{.IPv4Address}}{{"\\n"}}{{end}}'
    )
    deepEqual(shown.split('\n').sort(), [`c1 ${firstName} ${one}/24`, `c2 ${secondHost.name} ${two}/24`])
    match(first.refused('network rm demo'), /remove network "demo": "c2" on host "berlin" attached/)
    match(second.run('exec c2 ip -o link show eth0'), / mtu 1450 /)
  })
}

async function takenName(hosts: Hosts): Promise<void> {
  const { first, second, firstName } = hosts
  await withNetwork(hosts, async () => {
    first.run('run -d --name c1 --network demo busybox sleep 600')
    // $ docker run -d --name c1 --net demo busybox: endpoint with name c1 already exists in network demo
    const refused = second.refused('run --name c1 --network demo true')
    match(refused, new RegExp(`container "c1" on network "demo": host "${firstName}" has it`))
    equal(second.run('ps -a -q'), '', 'nothing is left of it')
    match(second.refused('network create -d overlay demo'), /"demo"/)
  })
}

async function service(hosts: Hosts): Promise<void> {
  const { first, second, secondHost } = hosts
  await withNetwork(hosts, async () => {
    // $ docker service create --name web --replicas 2 --network demo -p 8001:80 httpd
    equal(first.run('service create --name web --network demo -p 8001:80'), 'web')
    first.run(`run -d --name w1 --network demo --network-alias web -- ${SERVE}`)
    second.run(`run -d --name w2 --network demo --network-alias web -- ${SERVE}`)
    first.run('run -d --name c1 --network demo busybox sleep 600')
    // $ docker service ls; docker service ps web
    await until('both members', PATIENCE_MS, () =>
      second.run('service ls --format {{.Name}}={{.Members}}') === 'web=2' ? true : undefined
    )
    deepEqual(second.run('service ps web --format', '{{.Name}} {{.Host}}').split('\n').sort(), [
      `w1 ${hosts.firstName}`,
      `w2 ${secondHost.name}`
    ])
    const [address = ''] = first.run('exec c1 getent hosts web').split(' ')
    await seen(
      'by name',
      () => answerOf(first.outcome(`exec c1 busybox wget -qO- http://${address}/cgi-bin/who`).stdout)?.name
    )
    // $ curl http://NODE:8001, of each node
    await seen('at port 8001 of the first', () => who(OUTSIDE, HOST_IPV4, 8001)?.name)
    await seen('at port 8001 of the second', () => who(OUTSIDE, SECOND_IPV4, 8001)?.name)
    // $ docker service scale web=1: the second host has no member then, and answers still
    second.run('rm -f w2')
    await until('one member', PATIENCE_MS, () =>
      second.run('service ls --format {{.Members}}') === '1' ? true : undefined
    )
    for (const host of [HOST_IPV4, SECOND_IPV4])
      await until(`w1 alone at ${host}`, PATIENCE_MS, () => who(OUTSIDE, host, 8001)?.name === 'w1' || undefined)
    match(first.refused('network rm demo'), /attached|services on it: web/)
    // $ docker service rm web
    equal(second.run('service rm web'), 'web')
    await until('the port to be closed', PATIENCE_MS, () => who(OUTSIDE, HOST_IPV4, 8001) === undefined || undefined)
  })
}

/** Asks until both members have answered. */
async function seen(where: string, ask: () => string | undefined): Promise<void> {
  const names = new Set<string>()
  await until(`both members ${where}`, PATIENCE_MS, () => {
    names.add(ask() ?? '')
    return (names.has('w1') && names.has('w2')) || undefined
  })
}
