/** The daemon against a real DHCP server, on the kernel: busybox udhcpd on a bridge with the containers' interfaces. */
// needs: busybox nft ping
// time-out: 600 s
// waits: for leases to end
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type DhcpLab, inDhcpLab, run, until } from '../lib/testing/dhcp-lab.ts'
import type { Namespace } from '../lib/testing/namespace.ts'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('dhcp, on the kernel and udhcpd')

async function take(lab: DhcpLab, container: Namespace, id: string, ifName = 'eth0'): Promise<string> {
  const answer = await lab.take(container, id, ifName)
  assert.is(answer.ok, true, JSON.stringify(answer))
  return answer.result?.ips[0]?.address ?? ''
}

/** What a plugin does with the answer. */
function configure(container: Namespace, ifName: string, address: string): void {
  run(container, `ip address add ${address} dev ${ifName}`)
  run(container, `ip link set ${ifName} up`)
  run(container, 'ip route add default via 10.9.0.1')
  // The bridge at the other end forwards nothing until the kernel has noticed the carrier, and a message goes out once.
  run(container, 'ping -c 1 -i 0.2 -w 60 10.9.0.1')
}

function addressesOf(container: Namespace, ifName = 'eth0'): readonly string[] {
  const [link] = JSON.parse(run(container, `ip -j -4 address show dev ${ifName}`))
  return (link?.addr_info ?? []).map((one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`)
}

test('a lease: address, router and name server; the interface is left as it was; again it is the same', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 20 }, async lab => {
    const container = lab.container('eth0')
    const answer = await lab.take(container, 'c1')
    assert.match(answer.result?.ips[0]?.address ?? '', /^10\.9\.0\.\d+\/24$/)
    assert.is(answer.result?.ips[0]?.gateway, '10.9.0.1')
    assert.equal(answer.result?.routes, [{ dst: '0.0.0.0/0', gw: '10.9.0.1' }])
    assert.equal(addressesOf(container), [])
    assert.is(JSON.parse(run(container, 'ip -j link show dev eth0'))[0].operstate, 'DOWN')
    assert.equal((await lab.take(container, 'c1')).result, answer.result)
    assert.is(lab.leaseFiles().length, 1)
    assert.is(statSync(join(lab.stateDir, 'leases')).mode & 0o777, 0o700)
    assert.is(statSync(lab.socket).mode & 0o777, 0o600)
  })
})

test('a server with one address: the second container waits, is told why in time, and gets it after RELEASE', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 1 }, async lab => {
    const [first, second] = [lab.container('eth0'), lab.container('eth0')]
    const address = await take(lab, first, 'c1')
    configure(first, 'eth0', address)
    const began = Date.now()
    const refused = await lab.take(second, 'c2', 'eth0', { milliseconds: 3000 })
    assert.is(refused.code, 11)
    assert.match(refused.msg ?? '', /"eth0" of container "c2" on network "net": no DHCP server answered, in \d+ s/)
    assert.ok(Date.now() - began < 15_000)

    assert.is((await lab.release('c1')).ok, true)
    assert.equal(addressesOf(first), [])
    assert.equal(lab.leaseFiles(), [])
    assert.is(await take(lab, second, 'c2'), address)
    assert.is((await lab.release('c1')).ok, true)
  })
})

test('a server whose MAC address has changed since hears that an address is given back', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 1 }, async lab => {
    const [first, second] = [lab.container('eth0'), lab.container('eth0')]
    const address = await take(lab, first, 'c1')
    configure(first, 'eth0', address)
    run(lab.server, 'ip link set br0 address 02:00:00:00:00:01')
    assert.is((await lab.release('c1')).ok, true)
    assert.is(await take(lab, second, 'c2'), address)
  })
})

test('a lease is renewed, also by the daemon that follows a killed one; a second daemon is refused', async () => {
  await inDhcpLab({ leaseSeconds: 16, addresses: 20 }, async lab => {
    const container = lab.container('eth0')
    const address = await take(lab, container, 'c1')
    const bare = address.split('/')[0] ?? ''
    configure(container, 'eth0', address)
    await until('it is renewed', () => lab.grantsOf(bare) >= 2)

    const [node, ...args] = patchbayProgram()
    const rival = lab.host.run(node, [...args, 'dhcp', `-socketpath=${lab.socket}2`, `-statedir=${lab.stateDir}`])
    assert.is(rival.status, 1)
    assert.match(rival.stderr, /process \d+ is this host's dhcp daemon/)

    await lab.killDaemon()
    assert.is((await lab.check('c1', [address])).code, 0)
    lab.startDaemon()
    await lab.whenReady()
    const before = lab.grantsOf(bare)
    await until('the next daemon renews it', () => lab.grantsOf(bare) >= before + 2)
    assert.is((await lab.check('c1', [address])).ok, true)
    assert.equal(addressesOf(container), [address])
    assert.is((await lab.check('c1', ['10.9.0.200/24'])).code, 102)
    assert.is((await lab.check('c2', [address])).code, 102)
  })
})

test('a server that is silent too long: the address goes; when it is back, address and routes come back', async () => {
  await inDhcpLab({ leaseSeconds: 8, addresses: 20, flags: ['-resendmax', '2s'] }, async lab => {
    const container = lab.container('eth0')
    const address = await take(lab, container, 'c1')
    configure(container, 'eth0', address)
    run(container, 'ip route add 10.77.0.0/16 via 10.9.0.1')
    lab.signalServer('SIGSTOP')
    await until('the address is gone', () => addressesOf(container).length === 0)
    assert.is((await lab.check('c1', [address])).code, 102)
    lab.signalServer('SIGCONT')
    await until('the address is back', () => addressesOf(container).length === 1)
    assert.equal(addressesOf(container), [address])
    await until('the routes are back', () => /10\.77\.0\.0\/16 via 10\.9\.0\.1/.test(run(container, 'ip route')))
    assert.match(run(container, 'ip route'), /default via 10\.9\.0\.1/)
  })
})

test('twenty containers at once and two interfaces of one: each its own address; GC keeps those it is told to', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 40 }, async lab => {
    const ids = Array.from({ length: 20 }, (_, i) => `c${i}`)
    const containers = ids.map(id => (id === 'c0' ? lab.container('eth0', 'eth1') : lab.container('eth0')))
    const asked = ids.map((id, i) => take(lab, containers[i] ?? lab.container('eth0'), id))
    asked.push(take(lab, containers[0] ?? lab.container('eth1'), 'c0', 'eth1'))
    const addresses = await Promise.all(asked)
    assert.is(new Set(addresses).size, 21)
    assert.is(lab.leaseFiles().length, 21)
    const keep = [{ containerId: 'c0', ifName: 'eth1' }]
    assert.is((await lab.ask({ do: 'collect', network: 'other', keep: [] })).ok, true)
    assert.is(lab.leaseFiles().length, 21)
    assert.is((await lab.ask({ do: 'collect', network: 'net', keep })).ok, true)
    assert.is(lab.leaseFiles().length, 1)
    assert.is((await lab.check('c0', [addresses[20] ?? ''], 'eth1')).ok, true)
  })
})

test('what ends without DEL: a container that dies, a plugin that is killed, a daemon that was away', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 1 }, async lab => {
    const doomed = lab.container('eth0')
    const address = await take(lab, doomed, 'c1')
    configure(doomed, 'eth0', address)
    doomed.close()
    await until('its lease is dropped', () => lab.leaseFiles().length === 0)
    // The namespace was still held: the server has been told.
    const heir = lab.container('eth0')
    assert.is(await take(lab, heir, 'c2'), address)
    configure(heir, 'eth0', address)

    // A plugin that is killed while it asks leaves nothing.
    const names = { network: 'net', containerId: 'c3', ifName: 'eth0' }
    const third = lab.container('eth0')
    const socket = lab.send({ do: 'take', ...names, netns: third.path, ipam: {}, args: '', milliseconds: 60_000 })
    await new Promise(resolve => setTimeout(resolve, 500))
    socket.destroy()
    await lab.release('c2')
    const fourth = lab.container('eth0')
    assert.is(await take(lab, fourth, 'c4'), address)
    configure(fourth, 'eth0', address)
    assert.is(lab.leaseFiles().length, 1)

    // The namespace ends while no daemon is there.
    await lab.killDaemon()
    fourth.close()
    lab.startDaemon()
    await lab.whenReady()
    await until('it is dropped', () => lab.leaseFiles().length === 0)
    assert.match(lab.log, /"c4" on network "net" is dropped: its container is gone/)
  })
})

test('an address that a neighbour has is declined: the server gives it to nobody then', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 1, flags: ['-resendmax', '1s'] }, async lab => {
    const squatter = lab.container('eth0')
    // Not for the server: it asks by itself before it offers an address.
    const rules = 'table arp hidden { chain in { type filter hook input priority 0; arp saddr ip 10.9.0.1 drop; }; }'
    assert.is(squatter.run('nft', ['-f', '-'], { input: rules }).status, 0)
    run(squatter, 'ip address add 10.9.0.10/24 dev eth0')
    run(squatter, 'ip link set eth0 up')
    const { address } = JSON.parse(run(squatter, 'ip -j link show dev eth0'))[0]
    const refused = await lab.take(lab.container('eth0'), 'c1', 'eth0', { milliseconds: 8000 })
    assert.is(refused.code, 11)
    assert.match(lab.log, new RegExp(`server 10\\.9\\.0\\.1 gave 10\\.9\\.0\\.10, which ${address} has already`))
    const next = await lab.take(lab.container('eth0'), 'c2', 'eth0', { milliseconds: 3000, ipam: { probe: 0 } })
    assert.match(next.msg ?? '', /no DHCP server answered/)
  })
})

test('questions that make no sense are refused by code, and hurt nobody', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 5 }, async lab => {
    const container = lab.container('eth0')
    const names = { network: 'net', containerId: 'c1', ifName: 'eth0' }
    const asked = { do: 'take', ...names, netns: container.path, args: '', milliseconds: 2000 }
    assert.is((await lab.ask({ ...asked, ipam: { request: [{ option: 'x' }] } })).code, 7)
    assert.is((await lab.ask({ ...asked, ipam: {}, netns: '/run/netns/absent-for-sure' })).code, 3)
    assert.is((await lab.ask({ ...asked, ipam: {}, netns: '/dev/null' })).code, 8)
    assert.is((await lab.ask({ ...asked, ipam: {}, ifName: 'eth7' })).code, 7)
    assert.is((await lab.ask({ ...asked, ipam: {}, ifName: 'lo' })).code, 7)
    assert.is((await lab.ask({ ...asked, ipam: {}, ifName: '../x' })).code, 7)
    assert.is((await lab.ask({ do: 'dance', ...names })).code, 7)
    assert.is((await lab.ask([])).code, 7)
    await take(lab, container, 'c1')
  })
})

test.run()
