/** Who can speak to a connection: in a container with CAP_NET_ADMIN anybody may send to any netlink socket. */
import { readFileSync } from 'node:fs'
import * as libc from '#libc'
import { NETLINK_ROUTE, openNetlink } from '../sys/netlink-socket.ts'
import { inNamespace, openNetns } from '../sys/netns.ts'
import { withNamespaces } from '../testing/namespace.ts'
import { assert, suite } from '../testing/suite.ts'
import { encodeMessage, NLM_F_ACK } from './message.ts'

const test = suite('lib/netlink/conn on the kernel')

const AF_NETLINK = 16
const SOCK_RAW = 3
const MSG_DONTWAIT = 0x40
const NLMSG_ERROR = 2

/** The ports of this process's rtnetlink sockets in the namespace it is in: /proc/net/netlink, columns Eth and Pid. */
function ports(): readonly number[] {
  const rows = readFileSync('/proc/thread-self/net/netlink', 'utf8').trim().split('\n').slice(1)
  return rows
    .map(row => row.trim().split(/\s+/))
    .flatMap(([, protocol, port]) => (protocol === '0' ? [Number(port)] : []))
}

/** A socket that is bound and not connected, as every netlink program's is that takes no care. */
function careless(): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
  const address = new Uint8Array(12)
  address[0] = AF_NETLINK
  assert.is(libc.bind(fd, address), 0)
  return fd
}

/** Sends an acknowledgement for each of the first sequence numbers to a port, as an attacker in the container does. @returns errno, '' when it went */
function forge(port: number): string {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
  const address = new Uint8Array(12)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_NETLINK, true)
  view.setUint32(4, port, true)
  try {
    if (libc.connect(fd, address) < 0) return libc.errnoName()
    for (let sequence = 0; sequence < 16; sequence += 1) {
      const sent = libc.send(fd, encodeMessage(NLMSG_ERROR, NLM_F_ACK, sequence, new Uint8Array(20)), 0)
      if (sent < 0) return libc.errnoName()
    }
    return ''
  } finally {
    libc.close(fd)
  }
}

test('a forged answer does not reach a connection; it does reach a socket that takes no care', () => {
  withNamespaces(1, box => {
    const fd = openNetns(box.path)
    inNamespace(fd, () => {
      const before = new Set(ports())
      const ours = openNetlink(NETLINK_ROUTE)
      const ourPort = ports().find(port => !before.has(port)) ?? 0
      assert.ok(ourPort > 0)
      assert.is(forge(ourPort), 'ECONNREFUSED')
      assert.is(libc.recv(ours, new Uint8Array(64), MSG_DONTWAIT), -1)
      assert.is(libc.errnoName(), 'EAGAIN')
      libc.close(ours)

      const theirs = careless()
      const theirPort = ports().find(port => !before.has(port)) ?? 0
      assert.is(forge(theirPort), '')
      assert.is(libc.recv(theirs, new Uint8Array(64), MSG_DONTWAIT), 36)
      libc.close(theirs)
    })
  })
})

test.run()
