/** The keys of macvlan, ipvlan, vlan, dummy, tap, host-device, ptp and loopback that cases/links.ts leaves out. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import type { Level } from '../clauses/clause.ts'
import { isObject, type JsonObject, objects, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { seenAs } from '../probe.ts'
import type { World } from '../world.ts'

function added(context: Context, config: JsonObject): Attachment {
  const attachment = context.attachment()
  context.mustAdd(attachment, { config })
  return attachment
}

function inside(context: Context, attachment: Attachment): JsonObject {
  return attachment.netns.inside(() => context.world.link(attachment.ifName)) ?? {}
}

function details(link: JsonObject): JsonObject {
  const info = link['linkinfo']
  const data = isObject(info) ? info['info_data'] : undefined
  return isObject(data) ? data : {}
}

function refusal(name: readonly [string, string, Level], text: string, configs: readonly JsonObject[]): Behaviour {
  return behaviour(name, text, (context, say) => {
    for (const config of configs) {
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), `${JSON.stringify(config)} is refused`, () => describeOutcome(outcome))
    }
  })
}

/** The key dns, which all plugins with IPAM have. */
function dns(plugin: string): Behaviour {
  return behaviour([plugin, 'dns', 'MUST'], 'dns of the configuration is in the result.', (context, say) => {
    const result = context.mustAdd(context.attachment(), { config: { dns: { nameservers: ['192.0.2.53'] } } })
    say(stable(result['dns']).includes('192.0.2.53'), '192.0.2.53', () => stable(result['dns']))
  })
}

/** linkInContainer of the plugins that sit on another interface. */
function linkInContainer(plugin: string): Behaviour {
  const text = 'linkInContainer looks for the master inside the container.'
  return behaviour([plugin, 'link-in-container', 'SHOULD'], text, (context, say) => {
    const attachment = context.attachment()
    attachment.netns.inside(() =>
      context.world.ipBatch(['link add inner0 type veth peer name inner1', 'link set inner0 up'])
    )
    const config = { master: 'inner0', linkInContainer: true }
    const outcome = context.call('ADD', attachment, { config })
    say(succeeded(outcome), 'ADD succeeds', () => describeOutcome(outcome))
    const links = attachment.netns.inside(() => context.world.links())
    const master = links.find(link => link['ifname'] === 'inner0')
    const made = links.find(link => link['ifname'] === 'eth0')
    // iproute2 tells a master of the same namespace by its name.
    const holds = made?.['link'] === 'inner0' || made?.['link_index'] === master?.['ifindex']
    say(made !== undefined && holds, 'eth0 sits on inner0', () => stable(made ?? null))
  })
}

function tooLargeMtu(plugin: string): Behaviour {
  return refusal([plugin, 'mtu-too-large', 'MUST'], "An MTU above the master's is refused.", [{ mtu: 9000 }])
}

/** Needs the outside world to answer in the underlay's own network. */
function onTheWire(context: Context, attachment: Attachment): string | undefined {
  const outside = context.world.outside()
  outside.inside(() => context.world.run('ip', 'address', 'add', '10.77.0.200/24', 'dev', 'wire0'))
  return seenAs(context.world, { asker: attachment.netns, server: outside }, ['10.77.0.200'])[0]
}

function reachesTheWire(plugin: string): Behaviour {
  const text = "The container is on the master's network under its own address."
  return behaviour([plugin, 'on-the-wire', 'MUST'], text, (context, say) => {
    const seen = onTheWire(context, added(context, {}))
    say(seen === '10.77.0.5', 'the world sees 10.77.0.5', () => String(seen))
  })
}

function spareMac(world: World): string {
  return String(world.link('spare0')?.['address'])
}

export const LINK_KEY_BEHAVIOURS: readonly Behaviour[] = [
  ...['macvlan', 'ipvlan', 'vlan', 'dummy', 'tap', 'host-device', 'ptp'].map(dns),
  ...['ipvlan', 'vlan'].map(linkInContainer),
  ...['ipvlan', 'vlan'].map(tooLargeMtu),
  ...['macvlan', 'ipvlan'].map(reachesTheWire),
  ...['ptp', 'vlan', 'ipvlan', 'dummy'].map(plugin =>
    refusal([plugin, 'needs-ipam', 'MUST'], 'Without IPAM ADD is refused.', [{ ipam: undefined }])
  ),
  behaviour(['macvlan', 'layer-2', 'MUST'], 'Without IPAM the interface has no address.', (context, say) => {
    const attachment = added(context, { ipam: {} })
    const held = attachment.netns.inside(() => context.world.addresses('eth0'))
    say(held.length === 0, 'no address', () => held.join())
  }),
  behaviour(['macvlan', 'bcqueuelen', 'SHOULD'], 'bcqueuelen is the length of the broadcast queue.', (context, say) => {
    const data = details(inside(context, added(context, { bcqueuelen: 500 })))
    if (!stable(data).includes('bcqueuelen')) return
    say(stable(data).includes('"bcqueuelen":500'), '500', () => stable(data))
  }),
  behaviour(['ipvlan', 'layer-3-modes', 'MUST'], 'mode l3 and l3s are set; others are refused.', (context, say) => {
    for (const mode of ['l3', 'l3s']) {
      const attachment = added(context, { mode })
      const seen = details(inside(context, attachment))['mode']
      say(seen === mode, mode, () => String(seen))
      // The mode is the master's: two cannot be on one.
      context.must('DEL', attachment, { config: { mode } })
    }
    const outcome = context.call('ADD', context.attachment(), { config: { mode: 'l4' } })
    say(!succeeded(outcome), 'l4 is refused', () => describeOutcome(outcome))
  }),
  behaviour(['ipvlan', 'default-master', 'MUST'], "Without master it sits on the default route's.", (context, say) => {
    const link = inside(context, added(context, { master: undefined }))
    const index = context.world.link('uplink')?.['ifindex']
    say(link['link_index'] === index, `on interface ${index}`, () => String(link['link_index']))
  }),
  refusal(['vlan', 'bad-id', 'MUST'], 'A tag that cannot be is refused.', [{ vlanId: 4095 }, { vlanId: -1 }]),
  refusal(['vlan', 'needs-master', 'MUST'], 'Without master ADD is refused.', [{ master: undefined }]),
  behaviour(['vlan', 'tagged', 'MUST'], 'What the container sends carries the tag.', (context, say) => {
    const outside = context.world.outside()
    outside.inside(() =>
      context.world.ipBatch([
        'link add link wire0 name wire0.77 type vlan id 77',
        'link set wire0.77 up',
        'address add 10.77.0.200/24 dev wire0.77'
      ])
    )
    const attachment = added(context, { vlanId: 77 })
    const [seen] = seenAs(context.world, { asker: attachment.netns, server: outside }, ['10.77.0.200'])
    say(seen === '10.77.0.5', 'an answer from the other end of VLAN 77', () => String(seen))
  }),
  behaviour(['tap', 'multi-queue', 'MUST'], 'multiQueue lets a program open several queues.', (context, say) => {
    const data = details(inside(context, added(context, { multiQueue: true })))
    say(data['multi_queue'] === true, 'multi_queue', () => stable(data))
  }),
  behaviour(['tap', 'mtu-and-mac', 'MUST'], 'mtu and mac are set.', (context, say) => {
    const link = inside(context, added(context, { mtu: 1400, mac: '02:11:22:33:44:55' }))
    const seen = `${link['mtu']} ${link['address']}`
    say(seen === '1400 02:11:22:33:44:55', '1400 02:11:22:33:44:55', () => seen)
  }),
  behaviour(
    ['tap', 'bridge', 'MUST'],
    'bridge makes it a port of that bridge inside the container.',
    (context, say) => {
      const attachment = context.attachment()
      attachment.netns.inside(() => context.world.ipBatch(['link add inner type bridge', 'link set inner up']))
      context.mustAdd(attachment, { config: { bridge: 'inner' } })
      const master = inside(context, attachment)['master']
      say(master === 'inner', 'master inner', () => String(master))
    }
  ),
  behaviour(['host-device', 'by-mac', 'MUST'], 'hwaddr finds the device.', (context, say) => {
    const hwaddr = spareMac(context.world)
    const link = inside(context, added(context, { device: undefined, hwaddr }))
    say(link['address'] === hwaddr, `eth0 has ${hwaddr}`, () => stable(link))
  }),
  behaviour(['host-device', 'layer-2', 'MUST'], 'Without IPAM the device gets no address.', (context, say) => {
    const attachment = added(context, { ipam: undefined })
    const held = attachment.netns.inside(() => context.world.addresses('eth0'))
    say(held.length === 0, 'no address', () => held.join())
  }),
  refusal(['host-device', 'needs-device', 'MUST'], 'Without any key that names a device ADD is refused.', [
    { device: undefined },
    { device: undefined, pciBusID: '0000:ff:1f.7' },
    { device: undefined, kernelpath: '/sys/devices/nowhere' },
    { device: undefined, kernelpath: '/etc' }
  ]),
  behaviour(
    ['host-device', 'attributes-back', 'SHOULD'],
    'The device comes home when the namespace is gone.',
    (context, say) => {
      const attachment = added(context, {})
      context.call('DEL', attachment, { env: { CNI_NETNS: '' }, noPrevResult: true })
      context.must('DEL', attachment)
      say(context.world.link('spare0') !== undefined, 'spare0 is home after a DEL with the namespace', () =>
        context.world
          .links()
          .map(link => link['ifname'])
          .join()
      )
    }
  ),
  behaviour(['ptp', 'ip-masq-backend', 'SHOULD'], 'ipMasqBackend says where to masquerade.', (context, say) => {
    const rules = (backend: string) => {
      const attachment = added(context, { ipMasq: true, ipMasqBackend: backend })
      const lines = context.world.ruleLines().filter(line => /masquerade|MASQUERADE/.test(line))
      context.must('DEL', attachment, { config: { ipMasq: true, ipMasqBackend: backend } })
      return lines.filter(line => /^nft table ip6? nat /.test(line)).length
    }
    const [byNft, byIptables] = [rules('nftables'), rules('iptables')]
    say(byNft === 0 && byIptables > 0, 'iptables: in its table nat, nftables: not', () => `${byIptables}, ${byNft}`)
  }),
  behaviour(
    ['ptp', 'two-containers', 'MUST'],
    'Two containers reach each other by way of the host.',
    (context, say) => {
      const one = added(context, {})
      const other = added(context, {})
      const [seen] = seenAs(context.world, { asker: other.netns, server: one.netns }, ['10.77.0.5'])
      say(seen === '10.77.0.6', 'an answer to 10.77.0.6', () => String(seen))
    }
  ),
  behaviour(['loopback', 'result', 'MUST'], 'Alone it lists lo with its addresses.', (context, say) => {
    const result = context.mustAdd(context.attachment())
    const names = objects(result['interfaces']).map(one => one['name'])
    const addresses = objects(result['ips']).map(one => String(one['address']))
    say(names.join() === 'lo' && addresses.includes('127.0.0.1/8'), 'lo, 127.0.0.1/8', () => `${names}; ${addresses}`)
  })
]
