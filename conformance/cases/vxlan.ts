/** vxlan: bridge, tunnel and peers, seen in the kernel and by traffic with a tunnel that was made by hand. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import { isObject, type JsonObject, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { ask, Server, seenAs } from '../probe.ts'
import { WIRE } from '../world.ts'

const BRIDGE = 'judge0'

function added(context: Context, config: JsonObject = {}): Attachment {
  const attachment = context.attachment()
  context.mustAdd(attachment, { config })
  return attachment
}

/** The host's tunnel with its details in one record. */
function tunnel(context: Context): JsonObject {
  const found = context.world.links().find(link => {
    const info = link['linkinfo']
    return isObject(info) && info['info_kind'] === 'vxlan'
  })
  const info = found?.['linkinfo']
  const data = isObject(info) ? info['info_data'] : undefined
  return { ...found, ...(isObject(data) ? data : {}) }
}

/** Where frames for everybody go. */
function flooded(context: Context): readonly string[] {
  const name = String(tunnel(context)['ifname'])
  return context.world
    .json('bridge', '-j', 'fdb', 'show', 'dev', name)
    .filter(one => one['mac'] === '00:00:00:00:00:00')
    .map(one => String(one['dst']))
    .sort()
}

export const VXLAN_BEHAVIOURS: readonly Behaviour[] = [
  behaviour(
    ['vxlan', 'neighbours-talk', 'MUST'],
    'Containers of one host and the host reach each other.',
    (context, say) => {
      const one = added(context, { isGateway: true })
      const other = added(context, { isGateway: true })
      const server = Server.start(context.world, one.netns, 'tcp', 8080)
      const near = other.netns.inside(() => ask('tcp', '10.77.0.5', 8080))
      say(near === '10.77.0.6', 'the neighbour is seen as 10.77.0.6', () => String(near))
      const host = ask('tcp', '10.77.0.5', 8080)
      say(host === '10.77.0.1', 'the host is seen as the gateway', () => String(host))
      server.stop()
    }
  ),
  behaviour(['vxlan', 'vni', 'MUST'], 'vni is the number of the tunnel.', (context, say) => {
    added(context, { vni: 77 })
    const found = tunnel(context)
    say(found['id'] === 77, 'id 77', () => stable(found))
  }),
  behaviour(['vxlan', 'bad-vni', 'MUST'], 'A number that the wire cannot carry is refused.', (context, say) => {
    for (const vni of [0, 16_777_216, -1, undefined]) {
      const outcome = context.call('ADD', context.attachment(), { config: { vni } })
      say(!succeeded(outcome), `vni ${vni} is refused`, () => describeOutcome(outcome))
    }
  }),
  behaviour(['vxlan', 'names', 'MUST'], 'bridge and tunnel name the devices; the tunnel is a port.', (context, say) => {
    added(context, { bridge: 'ownbr', tunnel: 'owntun' })
    const found = tunnel(context)
    say(found['ifname'] === 'owntun' && found['master'] === 'ownbr', 'owntun on ownbr', () => stable(found))
  }),
  behaviour(['vxlan', 'port', 'MUST'], 'port is the UDP port of the tunnel; 4789 when left out.', (context, say) => {
    const first = added(context)
    const usual = tunnel(context)['port']
    context.must('DEL', first)
    added(context, { port: 8472 })
    const own = tunnel(context)['port']
    say(usual === 4789 && own === 8472, '4789, then 8472', () => `${usual}, then ${own}`)
  }),
  behaviour(['vxlan', 'underlay', 'MUST'], 'local and dev choose the underlay.', (context, say) => {
    context.world.run('ip', 'address', 'add', '192.0.2.3/24', 'dev', 'uplink')
    const first = added(context, { local: '192.0.2.3' })
    const byAddress = tunnel(context)['local']
    say(byAddress === '192.0.2.3', 'local 192.0.2.3', () => String(byAddress))
    context.must('DEL', first, { config: { local: '192.0.2.3' } })
    added(context, { dev: 'uplink' })
    const byName = tunnel(context)['local']
    say(byName === '192.0.2.2', 'by dev: local 192.0.2.2', () => String(byName))
  }),
  behaviour(['vxlan', 'peers', 'MUST'], 'Frames for everybody go to each peer but this host.', (context, say) => {
    added(context, { peers: ['192.0.2.1', '192.0.2.2', '192.0.2.9'] })
    const seen = flooded(context)
    say(seen.join() === '192.0.2.1,192.0.2.9', '192.0.2.1 and 192.0.2.9', () => seen.join())
  }),
  behaviour(['vxlan', 'peers-changed', 'MUST'], 'The next ADD brings the list of peers up to date.', (context, say) => {
    added(context, { peers: ['192.0.2.1', '192.0.2.9'] })
    added(context, { peers: ['192.0.2.1', '192.0.2.8'] })
    const seen = flooded(context)
    say(seen.join() === '192.0.2.1,192.0.2.8', '192.0.2.1 and 192.0.2.8', () => seen.join())
  }),
  behaviour(['vxlan', 'group', 'MUST'], 'group is the multicast group of the tunnel.', (context, say) => {
    added(context, { peers: undefined, group: '239.1.2.3' })
    const found = tunnel(context)
    say(found['group'] === '239.1.2.3', 'group 239.1.2.3', () => stable(found))
  }),
  behaviour(['vxlan', 'one-source', 'MUST'], 'peers together with group, or neither, is refused.', (context, say) => {
    for (const config of [{ group: '239.1.2.3' }, { peers: undefined }]) {
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), `${stable(config)} is refused`, () => describeOutcome(outcome))
    }
  }),
  behaviour(['vxlan', 'mtu', 'MUST'], "The MTU is the underlay's less the header's 50 bytes.", (context, say) => {
    const attachment = added(context)
    const inside = attachment.netns.inside(() => context.world.link('eth0'))?.['mtu']
    const seen = [tunnel(context)['mtu'], context.world.link(BRIDGE)?.['mtu'], inside]
    say(seen.join() === '1450,1450,1450', '1450 on tunnel, bridge and eth0', () => seen.join())
    const outcome = context.call('ADD', context.attachment(), { config: { mtu: 1500 } })
    say(!succeeded(outcome), 'mtu 1500 is refused', () => describeOutcome(outcome))
  }),
  behaviour(
    ['vxlan', 'other-host', 'MUST'],
    "A container reaches one of another host's, both ways.",
    (context, say) => {
      const outside = context.world.outside()
      const attachment = added(context)
      outside.inside(() =>
        context.world.ipBatch([
          `link add vx type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789 dev ${WIRE}`,
          'link set vx mtu 1450 up',
          'address add 10.77.0.200/24 dev vx'
        ])
      )
      const far = Server.start(context.world, outside, 'tcp', 8080)
      const near = Server.start(context.world, attachment.netns, 'tcp', 8081)
      const out = attachment.netns.inside(() => ask('tcp', '10.77.0.200', 8080))
      const back = outside.inside(() => ask('tcp', '10.77.0.5', 8081))
      say(out === '10.77.0.5' && back === '10.77.0.200', 'each sees the other', () => `${out}, ${back}`)
      far.stop()
      near.stop()
    }
  ),
  behaviour(['vxlan', 'gateway', 'MUST'], "isGateway gives the bridge the gateway's address.", (context, say) => {
    added(context, { isGateway: true })
    const held = context.world.addresses(BRIDGE)
    say(held.includes('10.77.0.1/24') && held.includes('fd77::1/64'), '10.77.0.1/24 and fd77::1/64', () => held.join())
    say(context.world.sysctl('ipv4/ip_forward') === '1', 'forwarding is on', () => 'it is off')
  }),
  behaviour(['vxlan', 'default-gateway', 'MUST'], 'isDefaultGateway adds the default route.', (context, say) => {
    const attachment = context.attachment()
    const parts = { ...attachment.parts, routes: [] }
    context.mustAdd({ ...attachment, parts }, { config: { isDefaultGateway: true } })
    const routes = attachment.netns.inside(() => context.world.routes())
    const holds = routes.some(route => route['dst'] === 'default' && route['gateway'] === '10.77.0.1')
    say(holds, 'a default route by 10.77.0.1', () => stable(routes))
  }),
  behaviour(
    ['vxlan', 'other-address', 'MUST'],
    "A bridge with another gateway's address is refused, unless forceAddress.",
    (context, say) => {
      context.world.ipBatch([`link add ${BRIDGE} type bridge`, `address add 10.55.0.1/24 dev ${BRIDGE}`])
      const refused = context.call('ADD', context.attachment())
      say(!succeeded(refused), 'ADD fails', () => describeOutcome(refused))
      added(context, { forceAddress: true })
      const held = context.world.addresses(BRIDGE)
      say(held.includes('10.77.0.1/24') && !held.includes('10.55.0.1/24'), 'forceAddress: the new one only', () =>
        held.join()
      )
    }
  ),
  behaviour(
    ['vxlan', 'ip-masq', 'MUST'],
    "ipMasq lets containers reach the world under the host's address.",
    (context, say) => {
      const outside = context.world.outside()
      const attachment = added(context, { isGateway: true, ipMasq: true })
      const [seen] = seenAs(context.world, { asker: attachment.netns, server: outside }, ['192.0.2.1'])
      say(seen === '192.0.2.2', 'the world sees 192.0.2.2', () => String(seen))
    }
  ),
  behaviour(
    ['vxlan', 'hairpin-mode', 'MUST'],
    'hairpinMode lets the port send back what came from it.',
    (context, say) => {
      added(context, { hairpinMode: true })
      const ports = context.world.links().filter(link => link['master'] === BRIDGE && stable(link).includes('"veth"'))
      say(stable(ports).includes('"hairpin":true'), 'hairpin on', () => stable(ports))
    }
  ),
  behaviour(
    ['vxlan', 'last-goes', 'MUST'],
    'The devices go with the last container, unless keepDevices.',
    (context, say) => {
      const names = () => context.world.links().map(link => String(link['ifname']))
      const one = added(context)
      const other = added(context)
      context.must('DEL', one)
      say(names().includes(BRIDGE), 'they stay while there is another', () => names().join())
      context.must('DEL', other)
      say(!names().includes(BRIDGE), 'they go with the last', () => names().join())
      const kept = added(context, { keepDevices: true })
      context.must('DEL', kept, { config: { keepDevices: true } })
      say(names().includes(BRIDGE), 'keepDevices: they stay', () => names().join())
    }
  ),
  behaviour(['vxlan', 'checksum', 'SHOULD'], 'txChecksumOffload false turns it off on the tunnel.', (context, say) => {
    added(context, { txChecksumOffload: false })
    if (!context.world.try('ethtool', '--version')) return
    const text = context.world.run('ethtool', '-k', String(tunnel(context)['ifname']))
    say(/tx-checksumming: off/.test(text), 'tx-checksumming: off', () => /tx-checksumming.*/.exec(text)?.[0] ?? text)
  }),
  behaviour(
    ['vxlan', 'foreign-tunnel', 'MUST'],
    "Somebody else's tunnel with another number is refused.",
    (context, say) => {
      context.world.run(
        'ip',
        'link',
        'add',
        'vx42',
        'type',
        'vxlan',
        'id',
        '43',
        'dstport',
        '4789',
        'local',
        '192.0.2.2'
      )
      const outcome = context.call('ADD', context.attachment())
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
    }
  ),
  behaviour(['vxlan', 'check-peer-lost', 'SHOULD'], 'CHECK notices that a peer was removed.', (context, say) => {
    const attachment = added(context)
    context.must('CHECK', attachment)
    const name = String(tunnel(context)['ifname'])
    context.world.run('bridge', 'fdb', 'del', '00:00:00:00:00:00', 'dev', name, 'dst', '192.0.2.1')
    const outcome = context.call('CHECK', attachment)
    say(!succeeded(outcome), 'CHECK fails', () => describeOutcome(outcome))
  }),
  behaviour(['vxlan', 'dns', 'MUST'], 'dns of the configuration is in the result.', (context, say) => {
    const result = context.mustAdd(context.attachment(), { config: { dns: { nameservers: ['192.0.2.53'] } } })
    say(stable(result['dns']).includes('192.0.2.53'), '192.0.2.53', () => stable(result['dns']))
  })
]
