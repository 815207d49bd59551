/** The article on names: containers of a network of one's own find each other, and `--link` gives them names of their own. */
import { equal, match, ok } from 'node:assert/strict'
import { IMAGE } from '../image.ts'
import type { Case } from '../suite.ts'
import type { Runtimes } from './own-networks.ts'

export function names(all: Runtimes): readonly Case[] {
  return [
    { name: 'names both ways, on shared networks alone', body: () => bothWays(all) },
    { name: '--link NAME:ALIAS, --network-alias, --dns', body: () => links(all) }
  ]
}

function withBlue({ patchbay, podman }: Runtimes, body: () => void): void {
  patchbay.run('network create --subnet 10.5.0.0/24 blue')
  patchbay.run('network create --subnet 10.6.0.0/24 green')
  try {
    body()
  } finally {
    patchbay.outcome('rm -f c1 c2 c3')
    podman.outcome('rm', '-f', '-t', '0', 'p1')
    patchbay.run('gc blue')
    patchbay.run('network rm blue green')
  }
}

function bothWays(all: Runtimes): void {
  const { patchbay, podman } = all
  withBlue(all, () => {
    // $ docker run -d --name c1 --network blue busybox sleep 600
    patchbay.run('run -d --name c1 --network blue busybox sleep 600')
    patchbay.run('run -d --name c2 --network blue busybox sleep 600')
    patchbay.run('run -d --name c3 --network green busybox sleep 600')
    // $ docker exec c1 ping c2; docker exec c2 ping c1
    patchbay.requirePings(['c1', 'c2'], ['c2', 'c1'])
    ok(!patchbay.pings('c1', 'c3'), 'a name of another network')
    // $ docker network connect green c1; docker exec c1 ping c3
    patchbay.run('network connect green c1')
    patchbay.requirePings(['c1', 'c3'], ['c3', 'c1'])
    podman.run('run', '-d', '--network', 'none', '--name', 'p1', IMAGE)
    patchbay.run('network connect --alias www blue p1')
    patchbay.requirePings(['c1', 'p1'], ['c2', 'www'])
    patchbay.run('network disconnect blue p1')
    ok(!patchbay.pings('c2', 'p1'))
  })
}

function links(all: Runtimes): void {
  const { patchbay } = all
  withBlue(all, () => {
    patchbay.run('run -d --name c1 --network blue --network-alias db busybox sleep 600')
    // $ docker run -d --name c2 --link c1:mysql busybox sleep 600
    patchbay.run('run -d --name c2 --network blue --link c1:mysql --dns 192.0.2.53 busybox sleep 600')
    patchbay.requirePings(['c2', 'mysql'], ['c2', 'db'], ['c1', 'c2'])
    ok(!patchbay.pings('c1', 'mysql'), 'the linking container’s own word')
    match(patchbay.run('exec c2 cat /etc/resolv.conf'), /^nameserver 127\.0\.0\.11$/m)
    match(patchbay.refused('run --name c3 --network green --link c1 true'), /it is on no network with names/)
    match(patchbay.refused('run --name c3 --network blue --link c9 true'), /find container "c9"/)
    equal(patchbay.run('ps -a -q').split('\n').sort().join(' '), 'c1 c2')
  })
}
