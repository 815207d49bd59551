/** bridge and vxlan: the keys of ports, VLANs and gateways that cases/bridge.ts leaves out. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import type { Level } from '../clauses/clause.ts'
import { type JsonObject, objects, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { ask, askOnce, Server } from '../probe.ts'

const BRIDGE = 'judge0'
const VLANS = 'bridge with VLANs'

function added(context: Context, config: JsonObject): Attachment {
  const attachment = context.attachment()
  context.mustAdd(attachment, { config })
  return attachment
}

/** What the kernel says of the VLANs on the first container's port: `5 PVID Egress Untagged`. */
function portVlans(context: Context): readonly string[] {
  const port = context.world.links().find(link => link['master'] === BRIDGE)
  const [found] = context.world
    .json('bridge', '-j', 'vlan', 'show', 'dev', String(port?.['ifname']))
    .map(one => objects(one['vlans']))
  return (found ?? []).flatMap(one => {
    const first = Number(one['vlan'])
    const last = Number(one['vlanEnd'] ?? first)
    const flags = Array.isArray(one['flags']) ? one['flags'].map(flag => ` ${flag}`).join('') : ''
    return Array.from({ length: last - first + 1 }, (_none, i) => `${first + i}${flags}`)
  })
}

function refused(id: string, level: Level, text: string, configs: readonly JsonObject[]): Behaviour {
  return behaviour(['bridge', id, level], text, (context, say) => {
    for (const config of configs) {
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), `${stable(config)} is refused`, () => describeOutcome(outcome))
    }
  })
}

function vlanCase(
  [id, level]: readonly [string, Level],
  text: string,
  config: JsonObject,
  wanted: readonly string[]
): Behaviour {
  return behaviour(['bridge', id, level], text, (context, say) => {
    context.requireKernel(VLANS)
    added(context, { isGateway: false, ...config })
    const seen = portVlans(context)
    say(wanted.join() === seen.join(), wanted.join(', '), () => seen.join(', '))
  })
}

/** Where the masquerading stands: in iptables' own table, or in one of nf_tables. */
function masqueradeLines(context: Context): { readonly iptables: number; readonly nftables: number } {
  const lines = context.world.ruleLines().filter(line => /masquerade|MASQUERADE/.test(line))
  const iptables = lines.filter(line => /^nft table ip6? nat /.test(line)).length
  return { iptables, nftables: lines.length - iptables }
}

/** Keys that plugins with a bridge have in common. */
function gatewayKeys(plugin: string): readonly Behaviour[] {
  return [
    behaviour([plugin, 'ip-masq-backend', 'SHOULD'], 'ipMasqBackend says where to masquerade.', (context, say) => {
      const masquerading = { isGateway: true, ipMasq: true }
      const first = context.attachment()
      context.mustAdd(first, { config: { ...masquerading, ipMasqBackend: 'nftables' } })
      const byNft = masqueradeLines(context)
      say(byNft.nftables > 0 && byNft.iptables === 0, 'nftables: not in the tables of iptables', () =>
        stable({ ...byNft })
      )
      context.must('DEL', first, { config: { ...masquerading, ipMasqBackend: 'nftables' } })
      added(context, { ...masquerading, ipMasqBackend: 'iptables' })
      const byIptables = masqueradeLines(context)
      say(byIptables.iptables > 0, 'iptables: in its table nat', () => stable({ ...byIptables }))
    }),
    behaviour([plugin, 'ip-masq-off', 'MUST'], 'Without ipMasq nothing is masqueraded.', (context, say) => {
      added(context, { isGateway: true, ipMasq: false })
      const lines = masqueradeLines(context)
      say(lines.iptables + lines.nftables === 0, 'no rule that masquerades', () => stable({ ...lines }))
    })
  ]
}

export const BRIDGE_KEY_BEHAVIOURS: readonly Behaviour[] = [
  ...gatewayKeys('bridge'),
  ...gatewayKeys('vxlan'),
  behaviour(['bridge', 'default-name', 'MUST'], 'Without the key bridge the bridge is cni0.', (context, say) => {
    added(context, { bridge: undefined, isGateway: false })
    const found = context.world.link('cni0')
    say(found !== undefined, 'a link cni0', () =>
      context.world
        .links()
        .map(link => link['ifname'])
        .join()
    )
  }),
  vlanCase(['vlan', 'MUST'], 'vlan is the untagged VLAN of the port.', { vlan: 100 }, ['100 PVID Egress Untagged']),
  vlanCase(
    ['vlan-trunk', 'SHOULD'],
    'vlanTrunk lists the tagged VLANs of the port, one by one or as ranges.',
    { vlan: 100, vlanTrunk: [{ id: 7 }, { minID: 201, maxID: 203 }] },
    ['7', '100 PVID Egress Untagged', '201', '202', '203']
  ),
  behaviour(
    ['bridge', 'preserve-default-vlan', 'SHOULD'],
    'preserveDefaultVlan decides whether the port keeps the VLAN that the kernel gives every port.',
    (context, say) => {
      context.requireKernel(VLANS)
      added(context, { isGateway: false, vlan: 100, preserveDefaultVlan: true })
      const kept = portVlans(context)
      say(
        kept.some(one => /^1( |$)/.test(one)),
        'VLAN 1 beside 100',
        () => kept.join(', ')
      )
    }
  ),
  refused('bad-vlan', 'MUST', 'A VLAN that cannot be is refused.', [{ vlan: 4095 }, { vlan: -1 }]),
  refused('bad-vlan-trunk', 'SHOULD', 'A trunk that cannot be is refused.', [
    { vlanTrunk: [{ id: 0 }] },
    { vlanTrunk: [{ minID: 20, maxID: 10 }] },
    { vlanTrunk: [{ minID: 20 }] }
  ]),
  behaviour(
    ['bridge', 'vlans-apart', 'MUST'],
    'Containers of different VLANs do not reach each other, those of one do.',
    (context, say) => {
      context.requireKernel(VLANS)
      const one = added(context, { isGateway: false, vlan: 100 })
      const near = added(context, { isGateway: false, vlan: 100 })
      const far = added(context, { isGateway: false, vlan: 200 })
      const server = Server.start(context.world, one.netns, 'tcp', 8080)
      const seen = near.netns.inside(() => ask('tcp', '10.77.0.5', 8080))
      const strange = far.netns.inside(() => askOnce('tcp', '10.77.0.5', 8080))
      say(seen === '10.77.0.6' && strange === undefined, 'VLAN 100 in, VLAN 200 out', () => `${seen}, ${strange}`)
      server.stop()
    }
  ),
  behaviour(
    ['bridge', 'port-isolation-traffic', 'SHOULD'],
    'Isolated containers do not reach each other, but the host reaches both.',
    (context, say) => {
      const one = added(context, { portIsolation: true })
      const other = added(context, { portIsolation: true })
      const server = Server.start(context.world, one.netns, 'tcp', 8080)
      const near = other.netns.inside(() => askOnce('tcp', '10.77.0.5', 8080))
      const host = ask('tcp', '10.77.0.5', 8080)
      say(near === undefined && host === '10.77.0.1', 'the neighbour out, the host in', () => `${near}, ${host}`)
      server.stop()
    }
  ),
  behaviour(
    ['bridge', 'hairpin-traffic', 'MUST'],
    'With hairpinMode a container reaches its own published address.',
    (context, say) => {
      const attachment = added(context, { hairpinMode: true, ipMasq: true })
      // What a publisher of ports does: the host's address leads to the container.
      context.world.run(
        'nft',
        'add table ip judge-publish; add chain ip judge-publish pre { type nat hook prerouting priority -100; }; add rule ip judge-publish pre ip daddr 10.77.0.1 tcp dport 18080 dnat to 10.77.0.5:80; add chain ip judge-publish post { type nat hook postrouting priority 90; }; add rule ip judge-publish post ip saddr 10.77.0.5 ip daddr 10.77.0.5 masquerade'
      )
      const server = Server.start(context.world, attachment.netns, 'tcp', 80)
      const seen = attachment.netns.inside(() => ask('tcp', '10.77.0.1', 18080))
      say(seen !== undefined, 'an answer', () => String(seen))
      server.stop()
    }
  ),
  behaviour(['bridge', 'mac-spoof-check', 'SHOULD'], 'macspoofchk drops frames with another MAC.', (context, say) => {
    const attachment = added(context, { macspoofchk: true })
    const neighbour = added(context, {})
    const server = Server.start(context.world, neighbour.netns, 'tcp', 8080)
    const honest = attachment.netns.inside(() => ask('tcp', '10.77.0.6', 8080))
    attachment.netns.inside(() => context.world.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:aa:bb:cc'))
    const spoofed = attachment.netns.inside(() => askOnce('tcp', '10.77.0.6', 8080))
    const seen = () => `with its own ${honest}, with another ${spoofed}`
    say(honest === '10.77.0.5' && spoofed === undefined, 'an answer with its own MAC only', seen)
    server.stop()
  }),
  behaviour(
    ['bridge', 'mac-spoof-check-gone', 'SHOULD'],
    'A DEL that knows nothing but the names leaves no rule of macspoofchk.',
    (context, say) => {
      const config = { macspoofchk: true }
      added(context, config)
      const before = context.world.ruleLines()
      const attachment = added(context, config)
      attachment.netns.remove()
      context.call('DEL', attachment, { config, env: { CNI_NETNS: '' }, noPrevResult: true })
      const left = context.world.ruleLines().filter(line => !before.includes(line) && !line.includes('elements'))
      say(left.length === 0, 'the ruleset is as before', () => left.join('; '))
    }
  ),
  behaviour(
    ['bridge', 'duplicate-address', 'SHOULD'],
    'With enabledad an IPv6 address that somebody on the network has makes ADD fail.',
    (context, say) => {
      added(context, {})
      const attachment = context.attachment()
      const ips = [
        { address: '10.77.0.9/24', gateway: '10.77.0.1' },
        { address: 'fd77::5/64', gateway: 'fd77::1' }
      ]
      const twin = { ...attachment, parts: { ...attachment.parts, ips } }
      const outcome = context.call('ADD', twin, { config: { enabledad: true } })
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['bridge', 'disable-container-interface', 'SHOULD'],
    'disableContainerInterface leaves the interface down, and is refused together with IPAM.',
    (context, say) => {
      const config = { disableContainerInterface: true, isGateway: false }
      const attachment = added(context, { ...config, ipam: {} })
      const flags = stable(attachment.netns.inside(() => context.world.link('eth0'))?.['flags'])
      say(!flags.includes('"UP"'), 'eth0 is down', () => flags)
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), 'refused with IPAM', () => describeOutcome(outcome))
    }
  )
]
