/** What the ways of packets need beside a bridge and two containers: an uplink, and programs that listen. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Namespace, NSENTER } from './namespace.ts'
import type { Site } from './site.ts'

/** Who is at the other end of the uplink: box 2. */
export const OUTSIDE = '192.0.2.9'

/** The host's uplink, and somebody at its other end. */
export function uplink(site: Site): void {
  const outside = site.box(2)
  site.ip(
    site.host,
    `link add up0 type veth peer name eth0 netns ${String(outside.pid)}`,
    'addr add 192.0.2.1/24 dev up0',
    'link set up0 up',
    'link set lo up'
  )
  site.ip(outside, `addr add ${OUTSIDE}/24 dev eth0`, 'link set eth0 up', 'route add 10.77.0.0/24 via 192.0.2.1')
  for (const box of site.boxes) site.ip(box, 'link set lo up')
}

/** A program that takes connections, for as long as its namespace is there. */
export function listen(site: Site, box: Namespace, address: string, port: number): void {
  const source = `require('node:net').createServer(one => one.end()).listen(${String(port)}, '${address}', () => require('node:fs').writeFileSync('${site.directory}/listens-${address}', ''))
    setTimeout(() => process.exit(), 60_000)`
  const child = spawn(NSENTER, [`--net=${box.path}`, process.execPath, '-e', source], { stdio: 'ignore' })
  child.unref()
  process.once('exit', () => child.kill('SIGKILL'))
  const deadline = Date.now() + 30_000
  while (!existsSync(`${site.directory}/listens-${address}`)) {
    if (Date.now() > deadline) throw new Error('the listening program did not start')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }
}
