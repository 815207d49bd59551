/** An overlay network behind a host's own firewall: iptables drops what it does not know, bridged frames too. */
// needs: bridge ping etcd etcdctl iptables
// time-out: 300 s
import { type OverlayLab, ok, pings } from '../lib/testing/overlay-lab.ts'
import { type Box, inSite, type OverlaySite, reached } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, behind firewalls')

/** As Docker sets it, with br_netfilter loaded. */
function dropForwarded(lab: OverlayLab): void {
  for (const { namespace } of lab.hosts) {
    ok(namespace, 'sysctl -q -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1')
    for (const tool of ['iptables', 'ip6tables']) ok(namespace, `${tool} -P FORWARD DROP`)
  }
}

async function firewall(site: OverlaySite, box: Box, command: string): Promise<void> {
  const { host, id, netns, reply } = box
  const config = { type: 'firewall', backend: 'iptables', prevResult: reply.json }
  const answer = await site.lab.start(host, command, config, { id, netns: netns.path })
  assert.is(answer.status, 0, answer.stdout)
}

test('containers of all hosts reach each other through iptables that drop; without the plugin they do not', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    dropForwarded(site.lab)
    const [a, b] = [await site.add(0, 'c0'), await site.add(1, 'c1')]
    const host = site.lab.host(1).namespace
    await firewall(site, a, 'ADD')
    assert.not.ok(pings(a.netns, b.ips[0] ?? ''), 'the host drops it')
    await firewall(site, b, 'ADD')
    for (const ip of b.ips) await reached(a, ip)
    for (const ip of a.ips) await reached(b, ip)
    assert.match(ok(host, 'iptables-save'), new RegExp(`-d ${b.ips[0]}/32 -i br-vx42 -o br-vx42 -j ACCEPT`))
    await firewall(site, b, 'CHECK')
    await firewall(site, b, 'DEL')
    assert.not.match(ok(host, 'iptables-save'), /br-vx42/)
  })
})

test.run()
