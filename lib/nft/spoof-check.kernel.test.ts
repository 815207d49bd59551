// needs: nft
import { parseMac } from '../ip/mac.ts'
import { LinuxKernel } from '../net/kernel-net.ts'
import { ask, EchoServer, expectAnswers } from '../testing/echo.ts'
import { type Namespace, withNamespaces } from '../testing/namespace.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { checkSpoofCheck, collectSpoofChecks, ensureSpoofCheck, removeSpoofCheck } from './spoof-check.ts'

const test = suite('lib/net/spoof-check')

const owner = { network: 'net1', containerId: 'c1', ifName: 'eth0' }

const DOCUMENTED = `
  table bridge patchbay-spoof-check {
    map ports { type ifname : verdict; elements = { "veth1" comment "net1 c1 eth0" : goto check } }
    set allowed { type ifname . ether_addr; elements = { "veth1" . 02:00:00:00:00:01 comment "net1 c1 eth0" } }
    chain prerouting { type filter hook prerouting priority -300; iifname vmap @ports; }
    chain check { iifname . ether saddr != @allowed drop; }
  }`

function mac(text: string): Uint8Array {
  return parseMac(text) ?? new Uint8Array(0)
}

function runNft(namespace: Namespace, ...args: string[]): string {
  const listed = namespace.run('nft', args)
  assert.is(listed.status, 0, listed.stderr)
  return listed.stdout
}

test('the ruleset is the documented one; nothing is left after the removal', () =>
  withNamespaces(2, (one, two) => {
    if (one === undefined || two === undefined) return
    const kernel = new LinuxKernel()
    const host = kernel.open(one.path)
    const nft = kernel.nft(host)
    const port = { name: 'veth1', mac: mac('02:00:00:00:00:01') }
    ensureSpoofCheck(nft, owner, port)
    assert.is(two.run('nft', ['-f', '-'], { input: DOCUMENTED }).status, 0)
    assert.is(runNft(one, 'list', 'ruleset'), runNft(two, 'list', 'ruleset'))
    checkSpoofCheck(nft, owner, port)
    throwsLike(() => checkSpoofCheck(nft, owner, { ...port, mac: mac('02:00:00:00:00:02') }), {
      errno: 'ENOENT'
    })
    // Another MAC for the same port replaces the first.
    ensureSpoofCheck(nft, owner, { ...port, mac: mac('02:00:00:00:00:02') })
    assert.not.match(runNft(one, 'list', 'ruleset'), /02:00:00:00:00:01/)
    assert.is(removeSpoofCheck(nft, { ...owner, ifName: 'eth1' }, 'veth1'), false)
    ensureSpoofCheck(nft, { ...owner, containerId: 'c2' }, { name: 'veth2', mac: mac('02:00:00:00:00:02') })
    assert.is(removeSpoofCheck(nft, owner, 'veth1'), true)
    assert.is(removeSpoofCheck(nft, owner, undefined), false)
    assert.is(
      collectSpoofChecks(nft, 'net1', text => text === 'net1 c2 eth0'),
      false
    )
    assert.is(
      collectSpoofChecks(nft, 'net1', () => false),
      true
    )
    assert.is(runNft(one, 'list', 'ruleset'), '')
    nft.close()
    host.close()
  }))

test('frames with another source than the own MAC go nowhere', () =>
  withNamespaces(3, (host, left, right) => {
    if (host === undefined || left === undefined || right === undefined) return
    const pid = (namespace: Namespace): string => String(namespace.pid)
    const script = `set -e
      ip link add br0 type bridge; ip link set br0 up
      ip link add v1 type veth peer name eth0 address 02:00:00:00:00:01 netns ${pid(left)}
      ip link add v2 type veth peer name eth0 address 02:00:00:00:00:02 netns ${pid(right)}
      ip link set v1 master br0 up; ip link set v2 master br0 up`
    const made = host.run('sh', ['-c', script])
    assert.is(made.status, 0, made.stderr)
    left.run('sh', ['-c', 'ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up'])
    right.run('sh', ['-c', 'ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up'])
    const server = EchoServer.start(right, 'right', ['udp 7'])
    const kernel = new LinuxKernel()
    const net = kernel.open(host.path)
    const nft = kernel.nft(net)
    try {
      expectAnswers(left, ['udp 10.0.0.2 7'], ['right 10.0.0.1'])
      ensureSpoofCheck(nft, owner, { name: 'v1', mac: mac('02:00:00:00:00:01') })
      expectAnswers(left, ['udp 10.0.0.2 7'], ['right 10.0.0.1'])
      left.run('ip', ['link', 'set', 'eth0', 'address', '02:00:00:00:00:09'])
      assert.is(ask(left, 'udp 10.0.0.2 7'), '')
      removeSpoofCheck(nft, owner, 'v1')
      expectAnswers(left, ['udp 10.0.0.2 7'], ['right 10.0.0.1'])
    } finally {
      server.close()
      nft.close()
      net.close()
    }
  }))

test.run()
