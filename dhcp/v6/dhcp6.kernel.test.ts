/** The daemon against a real DHCPv6 server, on the kernel: ISC dhcpd on a bridge with the containers' interfaces. */
// needs: busybox dhcpd
// time-out: 300 s
// waits: for leases to end
import { type DhcpLab, inDhcpLab, run, until } from '../../lib/testing/dhcp-lab.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('dhcp, version 6, on the kernel and dhcpd')

const IPV6 = { families: ['ipv6'] }
const BOTH = { families: ['ipv4', 'ipv6'] }

async function take(lab: DhcpLab, container: Namespace, id: string, ipam: object = IPV6): Promise<readonly string[]> {
  const answer = await lab.take(container, id, 'eth0', { ipam })
  assert.is(answer.ok, true, JSON.stringify(answer))
  return (answer.result?.ips ?? []).map(ip => ip.address)
}

/** What a plugin does with the answer. */
function configure(container: Namespace, addresses: readonly string[]): void {
  for (const address of addresses) run(container, `ip address add ${address} dev eth0 nodad`)
  run(container, 'ip link set eth0 up')
}

function globalAddresses(container: Namespace): readonly string[] {
  const text = run(container, 'ip -o -6 address show dev eth0 scope global')
  return [...text.matchAll(/inet6 (\S+)/g)].map(match => match[1] ?? '')
}

/** How often the server has said so. */
function timesServed(lab: DhcpLab, text: string): number {
  return lab.served.split(text).length - 1
}

test('both versions: two addresses, name servers of both; the interface is left as it was; again it is the same', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 9, ipv6: { seconds: 3600, addresses: 1 } }, async lab => {
    const container = lab.container('eth0')
    const answer = await lab.take(container, 'c1', 'eth0', { ipam: BOTH })
    const [four, six] = answer.result?.ips ?? []
    assert.match(four?.address ?? '', /^10\.9\.0\.\d+\/24$/)
    assert.equal(six, { address: 'fd09::10/128' })
    assert.equal(answer.result?.dns, { nameservers: ['10.9.0.1', 'fd09::1'], search: ['example.org'] })
    assert.is(JSON.parse(run(container, 'ip -j link show dev eth0'))[0].operstate, 'DOWN')
    assert.equal(JSON.parse(run(container, 'ip -j address show dev eth0'))[0].addr_info, [])
    assert.equal((await lab.take(container, 'c1', 'eth0', { ipam: BOTH })).result, answer.result)
    assert.is(lab.leaseFiles().length, 2)
    const shown = [four?.address ?? '', 'fd09::10/128']
    assert.is((await lab.check('c1', shown)).ok, true)
    assert.match(
      (await lab.check('c1', shown.slice(0, 1))).msg ?? '',
      /: it holds fd09::10\/128, which prevResult lacks$/
    )

    // Of two versions one that gives nothing makes the whole nothing: the server of the other hears that.
    const second = lab.container('eth0')
    const refused = await lab.take(second, 'c2', 'eth0', { milliseconds: 4000, ipam: BOTH })
    assert.is(refused.code, 11)
    assert.match(refused.msg ?? '', /server [0-9a-f]+: it refuses with status 2/)
    assert.is(lab.leaseFiles().length, 2)
    assert.is((await lab.release('c1')).ok, true)
    assert.equal(lab.leaseFiles(), [])
    assert.is(timesServed(lab, 'releases address fd09::10'), 1)
    assert.equal(await take(lab, second, 'c2'), ['fd09::10/128'])
  })
})

test('a lease is renewed, also by the daemon that follows a killed one; DEL releases it', async () => {
  await inDhcpLab({ leaseSeconds: 3600, addresses: 9, ipv6: { seconds: 18, addresses: 8 } }, async lab => {
    const container = lab.container('eth0')
    const addresses = await take(lab, container, 'c1')
    configure(container, addresses)
    await until('it is renewed', () => timesServed(lab, 'Renew message from') >= 1)
    await lab.killDaemon()
    lab.startDaemon()
    await lab.whenReady()
    const before = timesServed(lab, 'Renew message from')
    await until('the next daemon renews it', () => timesServed(lab, 'Renew message from') > before)
    assert.is((await lab.check('c1', addresses)).ok, true)
    assert.equal(globalAddresses(container), addresses)
    assert.is((await lab.release('c1')).ok, true)
    assert.is(timesServed(lab, `releases address ${addresses[0]?.split('/')[0]}`), 1)
    assert.equal(globalAddresses(container), [])
  })
})

test('a server that is silent too long: asked by REBIND, then the address goes; when it is back, it comes back', async () => {
  const ipv6 = { seconds: 12, addresses: 8 }
  await inDhcpLab({ leaseSeconds: 3600, addresses: 9, flags: ['-resendmax', '2s'], ipv6 }, async lab => {
    const container = lab.container('eth0')
    const addresses = await take(lab, container, 'c1')
    configure(container, addresses)
    lab.signalServer('SIGSTOP')
    await until('the address is gone', () => globalAddresses(container).length === 0)
    assert.is((await lab.check('c1', addresses)).code, 102)
    lab.signalServer('SIGCONT')
    await until('the address is back', () => globalAddresses(container).length === 1)
    assert.equal(globalAddresses(container), addresses)
    // They waited in the server's socket.
    await until('the questions are read', () => timesServed(lab, 'Rebind message from') >= 1)
  })
})

test('an address that a neighbour has is declined, and another one is had', async () => {
  const ipv6 = { seconds: 3600, addresses: 2 }
  await inDhcpLab({ leaseSeconds: 3600, addresses: 9, flags: ['-resendmax', '1s'], ipv6 }, async lab => {
    const squatter = lab.container('eth0')
    configure(squatter, ['fd09::10/64', 'fd09::11/64'])
    const container = lab.container('eth0')
    const refused = await lab.take(container, 'c1', 'eth0', { milliseconds: 6000, ipam: IPV6 })
    assert.is(refused.code, 11)
    assert.is(timesServed(lab, 'reports address fd09::10 is already in use'), 1)
    assert.is(timesServed(lab, 'reports address fd09::11 is already in use'), 1)
    const { address } = JSON.parse(run(squatter, 'ip -j link show dev eth0'))[0]
    assert.match(lab.log, new RegExp(`server [0-9a-f]+ gave fd09::1[01], which ${address} has already`))
  })
})

test('a server that commits at once is believed: one message there, one back', async () => {
  const ipv6 = { seconds: 3600, addresses: 8, more: ['option dhcp6.rapid-commit;'] }
  await inDhcpLab({ leaseSeconds: 3600, addresses: 9, ipv6 }, async lab => {
    assert.is((await take(lab, lab.container('eth0'), 'c1')).length, 1)
    assert.is(timesServed(lab, 'Solicit message from'), 1)
    assert.is(timesServed(lab, 'Request message from'), 0)
  })
})

test.run()
