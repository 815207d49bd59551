/**
 * The article on networks of one's own: create, ls, inspect, connect, disconnect, rm, and what is refused; with containers of
 * `run`, of containerd and of podman alike.
 */
import { equal, match, ok } from 'node:assert/strict'
import { run, until } from '../command.ts'
import type { Containerd } from '../containerd.ts'
import { IMAGE } from '../image.ts'
import type { Patchbay } from '../patchbay.ts'
import type { Podman } from '../podman.ts'
import { who } from '../reach.ts'
import type { Case } from '../suite.ts'

export interface Runtimes {
  readonly patchbay: Patchbay
  readonly containerd: Containerd
  readonly podman: Podman
}

export function ownNetworks(all: Runtimes): readonly Case[] {
  return [
    { name: 'create, ls, inspect, rm, and what is refused', body: () => life(all.patchbay) },
    { name: 'two networks are apart until a container is on both', body: () => apart(all.patchbay) },
    { name: 'containers of containerd and podman by name and by id', body: () => foreign(all) },
    { name: 'two containers that a word fits are listed', body: () => ambiguous(all) }
  ]
}

function life(patchbay: Patchbay): void {
  // $ docker network create -d bridge --subnet 10.5.0.0/16 --gateway 10.5.0.254 --ip-range 10.5.1.0/24 blue
  const flags = '-d bridge --subnet 10.5.0.0/16 --gateway 10.5.0.254 --ip-range 10.5.1.0/24'
  equal(patchbay.run(`network create ${flags} --label tier=web blue`), 'blue')
  try {
    // $ docker network ls -f driver=bridge -q
    match(patchbay.run('network ls -f label=tier=web -q'), /blue/)
    // $ docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' blue
    equal(patchbay.run('network inspect -f {{.IPAM.Config.0.Subnet}} blue'), '10.5.0.0/16')
    equal(patchbay.run('network inspect -f {{.IPAM.Config.0.Gateway}} blue'), '10.5.0.254')
    match(patchbay.refused('network create blue'), /"blue"/)
    match(patchbay.refused('network create --subnet 10.5.3.0/24 green'), /10\.5\.0\.0\/16.*blue/s)
    match(patchbay.refused('network create -d brigde green', 2), /did you mean "bridge"\?/)
    match(patchbay.refused('network rm grey'), /grey/)
    patchbay.run('run -d --name c1 --network blue busybox sleep 600')
    match(patchbay.address('c1'), /^10\.5\.1\./)
    match(patchbay.run('exec c1 ip route'), /^default via 10\.5\.0\.254 /m)
    match(patchbay.refused('network rm blue'), /c1/)
    // $ docker network inspect blue
    const [shown] = JSON.parse(patchbay.run('network inspect blue'))
    ok(JSON.stringify(shown.Containers).includes(`${patchbay.address('c1')}/16`), JSON.stringify(shown.Containers))
  } finally {
    patchbay.outcome('rm -f c1')
    patchbay.run('network rm blue')
  }
  equal(patchbay.run('network ls -q -f type=custom'), '')
}

function apart(patchbay: Patchbay): void {
  patchbay.run('network create --subnet 10.5.0.0/24 blue')
  patchbay.run('network create --subnet 10.6.0.0/24 green')
  try {
    patchbay.run('run -d --name c1 --network blue busybox sleep 600')
    patchbay.run('run -d --name c2 --network green busybox sleep 600')
    const green = patchbay.address('c2')
    ok(!patchbay.pings('c1', green), 'another network')
    // $ docker network connect --ip 10.6.0.9 green c1
    patchbay.run('network connect --ip 10.6.0.9 green c1')
    equal(patchbay.address('c1', 'eth1'), '10.6.0.9')
    patchbay.requirePings(['c1', green], ['c2', '10.6.0.9'])
    match(patchbay.run('exec c1 ip route'), /^default via 10\.5\.0\.1 dev eth0 *$/m)
    // $ docker network disconnect green c1
    patchbay.run('network disconnect green c1')
    ok(!patchbay.run('exec c1 ip -o link').includes('eth1'))
    ok(!patchbay.pings('c1', green))
    // $ docker network connect --gw-priority 1 green c1
    patchbay.run('network connect --gw-priority 1 green c1')
    match(patchbay.run('exec c1 ip route get 192.0.2.1'), / via 10\.6\.0\.1 dev eth1 /)
    patchbay.run('network disconnect green c1')
    match(patchbay.run('exec c1 ip route get 192.0.2.1'), / via 10\.5\.0\.1 dev eth0 /)
    match(patchbay.refused('network disconnect green c1'), /it is not on "green"/)
  } finally {
    patchbay.outcome('rm -f c1 c2')
    patchbay.run('network rm blue green')
  }
}

/** Starts a container of each runtime without a network, and one of ours on the network. */
async function withAll(
  { patchbay, containerd, podman }: Runtimes,
  names: { readonly ctr: string; readonly podman: string },
  body: () => void | Promise<void>
): Promise<void> {
  patchbay.run('network create --subnet 10.5.0.0/24 blue')
  try {
    patchbay.run('run -d --name c1 --network blue busybox sleep 600')
    const made = containerd.ctr(['run', '-d', '--env', 'NAME=of-containerd', IMAGE, names.ctr])
    equal(made.status, 0, made.stderr)
    podman.run('run', '-d', '--network', 'none', '-e', 'NAME=of-podman', '--name', names.podman, IMAGE)
    await body()
  } finally {
    containerd.ctr(['task', 'kill', '-s', 'SIGKILL', names.ctr])
    await until(names.ctr, 5000, () =>
      containerd.ctr(['task', 'rm', '-f', names.ctr]).status === 0 ? true : undefined
    )
    containerd.ctr(['container', 'rm', names.ctr])
    podman.outcome('rm', '-f', '-t', '0', names.podman)
    patchbay.outcome('rm -f c1')
    patchbay.run('gc blue')
    patchbay.run('network rm blue')
  }
}

async function foreign(all: Runtimes): Promise<void> {
  const { patchbay, podman } = all
  await withAll(all, { ctr: 'd1', podman: 'p1' }, async () => {
    const id = podman.run('inspect', '--format', '{{.Id}}', 'p1')
    patchbay.run('network connect --ip 10.5.0.11 blue d1')
    patchbay.run(`network connect --ip 10.5.0.12 blue ${id.slice(0, 6)}`)
    const shown = patchbay.run('network inspect blue')
    ok(shown.includes('default-d1') && shown.includes(id), shown)
    for (const name of ['c1', 'd1', 'p1'])
      for (const address of ['10.5.0.11', '10.5.0.12']) patchbay.requirePings([name, address])
    equal((await until('d1', 5000, () => who('/proc/self/ns/net', '10.5.0.11', 80))).name, 'of-containerd')
    equal((await until('p1', 5000, () => who('/proc/self/ns/net', '10.5.0.12', 80))).name, 'of-podman')
    match(
      patchbay.refused('network connect blue d1 --ifname eth0'),
      /an interface "eth0" already|attached as eth0 already/
    )
    for (const name of ['d1', 'p1']) {
      patchbay.run(`network disconnect blue ${name}`)
      ok(!run('nsenter', [`--net=/proc/${pidOf(all, name)}/ns/net`, 'ip', '-o', 'link']).includes('eth0'))
    }
  })
}

function pidOf({ containerd, podman }: Runtimes, name: string): string {
  if (name === 'p1') return podman.run('inspect', '--format', '{{.State.Pid}}', name)
  const line = containerd
    .ctr(['task', 'ls'])
    .stdout.split('\n')
    .find(one => one.startsWith(`${name} `))
  return line?.split(/ +/)[1] ?? ''
}

async function ambiguous(all: Runtimes): Promise<void> {
  const { patchbay } = all
  await withAll(all, { ctr: 'web', podman: 'web' }, () => {
    match(
      patchbay.refused('network connect blue web', 2),
      /find container "web": containerd default\/web, podman web are called so, or begin so/
    )
    patchbay.run('network connect blue default/web')
    patchbay.run('network disconnect blue default/web')
  })
}
