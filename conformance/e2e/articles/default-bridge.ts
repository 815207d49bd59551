/** The article on the default bridge: docker0, pairs of veth, and the modes host, none and container. */
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { run } from '../command.ts'
import { HOST_IPV4, OUTSIDE, OUTSIDE_IPV4 } from '../host.ts'
import { WEB } from '../image.ts'
import type { Patchbay } from '../patchbay.ts'
import { answerOf, HERE, pings, who } from '../reach.ts'
import type { Case } from '../suite.ts'

export function defaultBridge(patchbay: Patchbay): readonly Case[] {
  return [
    {
      name: 'docker0: a veth pair for each container, numbered both ways, and pings both ways',
      body: () => pairs(patchbay)
    },
    { name: 'docker0: -p and -P, port, and who is seen', body: () => ports(patchbay) },
    { name: 'host, none, container:NAME', body: () => modes(patchbay) }
  ]
}

/** docker0 is there when Docker is installed; here it is made as any network is. */
function withDocker0(patchbay: Patchbay, body: () => void): void {
  patchbay.run('network create --subnet 172.17.0.0/16 -o com.docker.network.bridge.name=docker0 bridge')
  try {
    body()
  } finally {
    // $ docker stop c1 c2; docker rm c1 c2
    patchbay.outcome('rm -f c1 c2')
    patchbay.run('network rm bridge')
  }
}

/** `7: veth1@if2: …`: its own number and that of its other end. */
function numbers(line: string): readonly [own: string, other: string] {
  const [, own = '', other = ''] = /^(\d+): [^@\s]+@if(\d+): /.exec(line) ?? []
  return [own, other]
}

function pairs(patchbay: Patchbay): void {
  withDocker0(patchbay, () => {
    // $ docker run -d --name c1 busybox sleep 600
    for (const name of ['c1', 'c2']) equal(patchbay.run(`run -d --name ${name} busybox sleep 600`), name)
    // $ ip addr show docker0
    match(run('ip', ['-o', '-4', 'addr', 'show', 'docker0']), / inet 172\.17\.0\.1\/16 /)
    // $ brctl show docker0
    const ports = run('ip', ['-o', 'link', 'show', 'master', 'docker0']).trim().split('\n')
    equal(ports.length, 2)
    for (const name of ['c1', 'c2']) {
      // $ docker exec c1 ip link show eth0
      const [inside, outside] = numbers(patchbay.run(`exec ${name} ip -o link show eth0`))
      ok(
        ports.some(line => {
          const [own, other] = numbers(line)
          return own === outside && other === inside
        }),
        `eth0 of ${name} is ${inside}, its other end ${outside}; docker0 has ${ports.join('; ')}`
      )
    }
    equal(patchbay.address('c1'), '172.17.0.2')
    equal(patchbay.address('c2'), '172.17.0.3')
    // $ docker exec c1 ping 172.17.0.3; docker exec c2 ping 172.17.0.2; ping 172.17.0.2
    patchbay.requirePings(['c1', '172.17.0.3'], ['c2', '172.17.0.2'])
    ok(pings(HERE, '172.17.0.2') && patchbay.pings('c1', '172.17.0.1') && patchbay.pings('c1', OUTSIDE_IPV4))
    match(patchbay.run('exec c1 ip route'), /^default via 172\.17\.0\.1 dev eth0/m)
  })
  equal(run('ip', ['-o', 'link', 'show', 'type', 'veth']).trim().split('\n').length, 1, 'the uplink alone is left')
  equal(run('ip', ['-o', 'link', 'show', 'master', 'docker0']).trim(), '', 'docker0 stays, as it does with Docker')
}

const SERVE = `busybox httpd -f -p 80 -h ${WEB}`

function ports(patchbay: Patchbay): void {
  withDocker0(patchbay, () => {
    // $ docker run -d --name c1 -p 8080:80 httpd
    patchbay.run(`run -d --name c1 -p 8080:80 -- ${SERVE}`)
    // $ docker port c1
    equal(patchbay.run('port c1'), '80/tcp -> 0.0.0.0:8080')
    equal(who(OUTSIDE, HOST_IPV4, 8080)?.seenAs, OUTSIDE_IPV4)
    equal(who(HERE, '127.0.0.1', 8080)?.name, 'c1')
    // $ docker run -d -P --expose 80 httpd
    patchbay.run(`run -d --name c2 -P --expose 80 -- ${SERVE}`)
    const chosen = Number(/^0\.0\.0\.0:(\d+)$/.exec(patchbay.run('port c2 80'))?.[1])
    equal(who(OUTSIDE, HOST_IPV4, chosen)?.name, 'c2')
    // $ docker ps
    match(patchbay.run('ps --format {{.Name}}={{.Ports}}'), /^c1=0\.0\.0\.0:8080->80\/tcp$/m)
    match(patchbay.refused('run --name c3 -p 8080:80 true'), /8080/)
  })
}

function modes(patchbay: Patchbay): void {
  withDocker0(patchbay, () => {
    const here = run('readlink', ['/proc/self/ns/net']).trim()
    // $ docker run --rm --network host busybox ip addr
    equal(patchbay.run('run --rm --network host readlink /proc/self/ns/net'), here)
    // $ docker run --rm --network none busybox ip addr
    const alone = patchbay.run('run --rm --network none ip -o link')
    deepEqual(
      alone.split('\n').map(line => line.split(': ')[1]),
      ['lo']
    )
    // $ docker run -d --name c1 httpd; docker run --rm --network container:c1 busybox wget -qO- localhost
    patchbay.run(`run -d --name c1 -- ${SERVE}`)
    const asked = patchbay.run('run --rm --network container:c1 busybox wget -qO- http://127.0.0.1/cgi-bin/who')
    deepEqual(answerOf(asked), { name: 'c1', seenAs: '127.0.0.1' })
  })
}
