/**
 * The article on services: one name and address for several containers, and a port of the host that leads to them. That every
 * host of the network answers on the port is judged by the suite articles of two hosts.
 */
import { deepEqual, equal, match } from 'node:assert/strict'
import { until } from '../command.ts'
import { HOST_IPV4, OUTSIDE } from '../host.ts'
import { WEB } from '../image.ts'
import type { Patchbay } from '../patchbay.ts'
import { answerOf, who } from '../reach.ts'
import type { Case } from '../suite.ts'

export function services(patchbay: Patchbay): readonly Case[] {
  return [{ name: 'a service: its name, its members, port 8001 of the host', body: () => web(patchbay) }]
}

const SERVE = `busybox httpd -f -p 80 -h ${WEB}`

async function web(patchbay: Patchbay): Promise<void> {
  patchbay.run('network create --subnet 10.5.0.0/24 blue')
  try {
    // $ docker service create --name web --replicas 2 --network blue -p 8001:80 httpd
    patchbay.run('service create web --network blue --publish 8001:80')
    for (const name of ['w1', 'w2'])
      patchbay.run(`run -d --name ${name} --network blue --network-alias web -- ${SERVE}`)
    patchbay.run('run -d --name c1 --network blue busybox sleep 600')
    // $ docker service ls; docker service ps web
    match(patchbay.run('service ls --format Name,Members,Ports'), /^web +2 +\*:8001->80\/tcp/m)
    const seen = new Set<string>()
    // busybox has no resolver of names of its own.
    const [address = ''] = patchbay.run('exec c1 getent hosts web').split(' ')
    await until('both members to answer by name', 20_000, () => {
      const said = patchbay.outcome(`exec c1 busybox wget -qO- http://${address}/cgi-bin/who`).stdout
      seen.add(answerOf(said)?.name ?? '')
      return (seen.has('w1') && seen.has('w2')) || undefined
    })
    const outside = new Set<string>()
    await until('both members to answer at port 8001', 20_000, () => {
      outside.add(who(OUTSIDE, HOST_IPV4, 8001)?.name ?? '')
      return (outside.has('w1') && outside.has('w2')) || undefined
    })
    // $ docker service scale web=1
    patchbay.run('rm -f w1')
    await until('one member', 10_000, () => patchbay.run('service ls --format {{.Members}}') === '1' || undefined)
    deepEqual(
      [1, 2, 3, 4].map(() => who(OUTSIDE, HOST_IPV4, 8001)?.name),
      ['w2', 'w2', 'w2', 'w2']
    )
    // $ docker service rm web
    equal(patchbay.run('service rm web'), 'web')
    await until('the port to be closed', 5000, () => who(OUTSIDE, HOST_IPV4, 8001) === undefined || undefined)
  } finally {
    patchbay.outcome('service rm web')
    patchbay.outcome('rm -f w1 w2 c1')
    patchbay.run('network rm blue')
  }
}
