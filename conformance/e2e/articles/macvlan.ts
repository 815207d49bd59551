/** The article on macvlan: containers as machines of the host's own network. */
import { equal, match, ok } from 'node:assert/strict'
import { OUTSIDE, OUTSIDE_IPV4, UPLINK } from '../host.ts'
import type { Patchbay } from '../patchbay.ts'
import { HERE, pings } from '../reach.ts'
import type { Case } from '../suite.ts'

export function macvlan(patchbay: Patchbay): readonly Case[] {
  return [{ name: 'macvlan: neighbours of the other machine, but not of their own host', body: () => wire(patchbay) }]
}

function wire(patchbay: Patchbay): void {
  // $ docker network create -d macvlan --subnet 198.51.100.0/24 --gateway 198.51.100.2 -o parent=eth0 lan
  const flags = `--subnet 198.51.100.0/24 --gateway ${OUTSIDE_IPV4} --ip-range 198.51.100.64/27`
  patchbay.run(`network create -d macvlan ${flags} -o parent=${UPLINK} lan`)
  try {
    // $ docker run -d --name c1 --network lan --ip 198.51.100.70 busybox sleep 600
    patchbay.run('run -d --name c1 --network lan --ip 198.51.100.70 busybox sleep 600')
    patchbay.run('run -d --name c2 --network lan busybox sleep 600')
    equal(patchbay.address('c1'), '198.51.100.70')
    match(patchbay.run('exec c1 ip -d -o link show eth0'), / macvlan mode bridge /)
    match(patchbay.run('exec c1 ip route'), new RegExp(`^default via ${OUTSIDE_IPV4} dev eth0`, 'm'))
    ok(patchbay.pings('c1', OUTSIDE_IPV4) && pings(OUTSIDE, '198.51.100.70'))
    patchbay.requirePings(['c1', patchbay.address('c2')], ['c2', '198.51.100.70'])
    ok(!pings(HERE, '198.51.100.70'), 'the host does not reach its own macvlan children')
    match(patchbay.refused('network create -d macvlan lan2', 2), /needs a parent interface/)
  } finally {
    patchbay.outcome('rm -f c1 c2')
    patchbay.run('network rm lan')
  }
}
