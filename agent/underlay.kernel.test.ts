/** The underlay changes while containers run: another address, another MTU, an address that only visits. */
// needs: bridge ping etcd etcdctl busybox
// time-out: 600 s
import { until } from '../lib/testing/lab-agent.ts'
import { ok, pings } from '../lib/testing/overlay-lab.ts'
import { type Box, inSite, type OverlaySite, reached } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, when the underlay changes')

/** Nothing but what the kernel tells brings it about: the comparison from time to time is switched off. */
const QUIET = { agent: { compareSeconds: 3600 } }

async function twoContainers(site: OverlaySite, more: object = {}): Promise<readonly [Box, Box]> {
  const [a, b] = [await site.add(0, 'c0', more), await site.add(1, 'c1', more)]
  await reached(a, b.ips[0] ?? '')
  return [a, b]
}

test("a host's address is replaced: its tunnel is made anew, and the others send to the new one", async () => {
  await inSite({ members: 1, hosts: 2, ...QUIET }, async site => {
    const [a, b] = await twoContainers(site)
    const host = site.lab.host(1).namespace
    ok(host, 'ip address del 192.0.2.2/24 dev eth0')
    ok(host, 'ip address add 192.0.2.9/24 dev eth0')
    ok(host, 'ip route add default via 192.0.2.254')
    await until('the tunnel has the new address', () => /\blocal 192\.0\.2\.9\b/.test(ok(host, 'ip -d link show vx42')))
    await until('host 0 sends there', () => site.fdb(0).includes(`${b.mac} dst 192.0.2.9 self`))
    for (const ip of b.ips) await reached(a, ip)
    assert.match(site.fdb(0), /^00:00:00:00:00:00 dst 192\.0\.2\.9 self/m)
    assert.not.match(site.fdb(0), /192\.0\.2\.2\b/)
    const checked = await site.check(b)
    assert.is(checked.stdout, '')
    const later = await site.add(1, 'later')
    await reached(a, later.ips[0] ?? '')
    for (const id of ['c1', 'later']) assert.is((await site.call('DEL', 1, id)).stdout, '')
    assert.equal(site.lab.links(host), ['eth0', 'lo'])
  })
})

test("the underlay's MTU changes: tunnel, bridge and containers follow, down and up; one that is configured stays", async () => {
  await inSite({ members: 1, hosts: 2, ...QUIET }, async site => {
    const [a, b] = await twoContainers(site)
    const fixed = await site.add(0, 'fixed', { name: 'fixed', vni: 43, mtu: 1300 })
    for (const mtu of [1400, 1500]) {
      for (const { namespace } of site.lab.hosts) ok(namespace, `ip link set eth0 mtu ${mtu}`)
      const inner = `mtu ${mtu - 50} `
      for (const box of [a, b]) {
        await until(`${box.id} has it`, () => ok(box.netns, 'ip link show eth0').includes(inner))
        for (const name of ['vx42', 'br-vx42', String(box.reply.json.interfaces[2].name)]) {
          const link = (): string => ok(box.host.namespace, `ip link show ${name}`)
          await until(`${name} of host ${box.host.number} has it`, () => link().includes(inner))
        }
      }
      assert.ok(pings(a.netns, b.ips[0] ?? '', mtu - 50 - 28), 'frames of full size')
      await site.add(0, `new${mtu}`)
    }
    assert.match(ok(fixed.netns, 'ip link show eth0'), /mtu 1300 /)
    assert.match(ok(site.lab.host(0).namespace, 'ip link show vx43'), /mtu 1300 /)
  })
})

test('an MTU too small for IPv6 is told once: IPv4 goes on, new containers are refused, and it comes back', async () => {
  await inSite({ members: 1, hosts: 2, agent: { compareSeconds: 1 } }, async site => {
    const [a, b] = await twoContainers(site)
    const setMtu = (mtu: number): void => {
      for (const { namespace } of site.lab.hosts) ok(namespace, `ip link set eth0 mtu ${mtu}`)
    }
    setMtu(1329)
    for (const box of [a, b])
      await until(`${box.id} has it`, () => ok(box.netns, 'ip link show eth0').includes('mtu 1279 '))
    assert.ok(pings(a.netns, b.ips[0] ?? '', 1279 - 28), 'frames of full size')
    const refused = await site.refused(0, 'late')
    assert.is(refused.json.code, 7)
    assert.match(refused.json.msg, /give address fd42::\S+: the network has an MTU of 1279, and IPv6 needs 1280/)
    const comparisons = await site.agent(0).metric('patchbay_agent_comparisons_total')
    await until('all was compared again', async () => {
      return (await site.agent(0).metric('patchbay_agent_comparisons_total')) >= comparisons + 2
    })
    const told = site
      .agent(0)
      .log.split('\n')
      .filter(line => /IPv6|EINVAL/.test(line))
    assert.is(told.length, 1, told.join('\n'))
    assert.match(told[0] ?? '', /overlay 42: without IPv6, which needs an MTU of 1280, and the underlay leaves 1279/)

    setMtu(1330)
    const [c, d] = [await site.add(0, 'c3'), await site.add(1, 'c4')]
    for (const ip of d.ips) await reached(c, ip)
  })
})

test("a floating address that is listed first is not the tunnel's", async () => {
  await inSite({ members: 1, hosts: 2, ...QUIET }, async site => {
    const host = site.lab.host(0).namespace
    for (const line of [
      'address flush dev eth0',
      'address add 192.0.2.200/32 dev eth0',
      'address add 192.0.2.1/24 dev eth0'
    ])
      ok(host, `ip ${line}`)
    ok(host, 'ip route add default via 192.0.2.254')
    assert.match(ok(host, 'ip -4 -br address show dev eth0'), /192\.0\.2\.200\/32 192\.0\.2\.1\/24/)
    const [a, b] = await twoContainers(site)
    assert.match(ok(host, 'ip -d link show vx42'), /\blocal 192\.0\.2\.1\b/)
    ok(host, 'ip address del 192.0.2.200/32 dev eth0')
    assert.ok(pings(a.netns, b.ips[0] ?? ''), 'it has moved on')
  })
})

test('processes of a host reach containers of all hosts where it is the gateway, in both families', async () => {
  await inSite({ members: 1, hosts: 3 }, async site => {
    const boxes = [await site.add(0, 'c0'), await site.add(1, 'c1'), await site.add(2, 'c2')]
    for (const { namespace } of site.lab.hosts) {
      for (const box of boxes) {
        for (const ip of box.ips) await until(`${ip} answers`, () => pings(namespace, ip))
      }
    }
    const own = site.etcd.keys('/patchbay/endpoints/42/').filter(key => key.includes('/@h'))
    assert.is(own.length, 3)
    // With the last container of a host, the host's own address goes, too.
    assert.is((await site.call('DEL', 0, 'c0')).stdout, '')
    await until('it is free', () => site.etcd.keys('/patchbay/endpoints/42/h0/').length === 0)
    await until('and its address', () => !site.etcd.ctl('get', '--prefix', '/patchbay/addresses/').includes('@h0'))
  })
})

test("an address that floats between containers of two hosts is followed; nobody announces what is another's", async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    const [a, b] = await twoContainers(site)
    const client = await site.add(0, 'client')
    const floating = '10.42.250.1'
    const announce = (box: Box, ip: string): string => ok(box.netns, `busybox arping -c 1 -A -I eth0 -s ${ip} ${ip}`)
    ok(a.netns, `ip address add ${floating}/32 dev eth0`)
    await reached(client, floating)
    ok(a.netns, `ip address del ${floating}/32 dev eth0`)
    ok(b.netns, `ip address add ${floating}/32 dev eth0`)
    const seen = (): string => ok(client.netns, `ip neigh show ${floating}`)
    assert.ok(seen().includes(a.mac))
    // The announcement alone brings it about: the client asks nobody.
    announce(b, floating)
    await until('the client has heard', () => seen().includes(b.mac))
    assert.ok(pings(client.netns, floating))
    // One that claims a registered address stays at home.
    await reached(client, a.ips[0] ?? '')
    ok(b.netns, `ip address add ${a.ips[0]}/32 dev eth0`)
    announce(b, a.ips[0] ?? '')
    ok(b.netns, `ip address del ${a.ips[0]}/32 dev eth0`)
    // What is announced after it arrives after it.
    const marker = '10.42.250.2'
    ok(client.netns, `ip neigh replace ${marker} lladdr ${a.mac} nud stale dev eth0`)
    ok(b.netns, `ip address add ${marker}/32 dev eth0`)
    announce(b, marker)
    await until('the next one has come', () => ok(client.netns, `ip neigh show ${marker}`).includes(b.mac))
    assert.match(ok(client.netns, `ip neigh show ${a.ips[0]}`), new RegExp(a.mac))
  })
})

test.run()
