/** The other interface plugins: what their keys do to the kernel. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Context } from '../case.ts'
import { isObject, type JsonObject, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { seenAs } from '../probe.ts'

/** ADD with these keys; the link inside with details. */
function linkInside(context: Context, config: JsonObject): JsonObject {
  const attachment = context.attachment()
  context.mustAdd(attachment, { config })
  return attachment.netns.inside(() => context.world.link(attachment.ifName)) ?? {}
}

function infoData(link: JsonObject): JsonObject {
  const info = link['linkinfo']
  const data = isObject(info) ? info['info_data'] : undefined
  return isObject(data) ? data : {}
}

function kindOf(link: JsonObject): unknown {
  const info = link['linkinfo']
  return isObject(info) ? info['info_kind'] : undefined
}

/** A master that is not there, an MTU above the master's. */
function refusals(plugin: string, config: JsonObject): readonly Behaviour[] {
  return [
    behaviour([plugin, 'no-such-master', 'MUST'], 'A master that is not there is refused.', (context, say) => {
      const outcome = context.call('ADD', context.attachment(), { config: { ...config, master: 'nowhere0' } })
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
    }),
    behaviour([plugin, 'mtu', 'MUST'], 'mtu is set on the interface.', (context, say) => {
      const link = linkInside(context, { ...config, mtu: 1400 })
      say(link['mtu'] === 1400, 'MTU 1400', () => String(link['mtu']))
    }),
    behaviour([plugin, 'master-gone', 'SHOULD'], 'DEL succeeds when the master is gone.', (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment, { config })
      context.world.run('ip', 'link', 'del', 'uplink')
      const outcome = context.call('DEL', attachment, { config })
      say(succeeded(outcome), 'DEL succeeds', () => describeOutcome(outcome))
    })
  ]
}

export const LINK_BEHAVIOURS: readonly Behaviour[] = [
  behaviour(
    ['macvlan', 'modes', 'MUST'],
    'mode is one of bridge, private, vepa, passthru; bridge when left out.',
    (context, say) => {
      for (const mode of [undefined, 'private', 'vepa', 'bridge']) {
        const link = linkInside(context, { mode })
        const seen = infoData(link)['mode']
        say(kindOf(link) === 'macvlan' && seen === (mode ?? 'bridge'), `mode ${mode ?? 'bridge'}`, () =>
          stable(link['linkinfo'])
        )
      }
      const outcome = context.call('ADD', context.attachment(), { config: { mode: 'sideways' } })
      say(!succeeded(outcome), 'mode sideways is refused', () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['macvlan', 'default-master', 'MUST'],
    'Without master it sits on the interface of the default route.',
    (context, say) => {
      const link = linkInside(context, { master: undefined })
      const uplink = context.world.link('uplink')
      say(link['link_index'] === uplink?.['ifindex'], `on interface ${uplink?.['ifindex']}`, () =>
        String(link['link_index'])
      )
    }
  ),
  behaviour(['macvlan', 'mtu-too-large', 'MUST'], "An MTU above the master's is refused.", (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: { mtu: 9000 } })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  }),
  behaviour(
    ['macvlan', 'second-passthru', 'MUST'],
    'A second passthru on one master fails and leaves no link.',
    (context, say) => {
      linkInside(context, { mode: 'passthru' })
      const attachment = context.attachment()
      const outcome = context.call('ADD', attachment, { config: { mode: 'passthru' } })
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
      const names = [...context.world.links(), ...attachment.netns.inside(() => context.world.links())].map(
        link => link['ifname']
      )
      const left = names.filter(name => !['lo', 'uplink', 'wire0'].includes(String(name)))
      say(left.length === 0, 'no link is left', () => left.join(', '))
    }
  ),
  behaviour(
    ['macvlan', 'link-in-container', 'SHOULD'],
    'linkInContainer looks for the master inside the container.',
    (context, say) => {
      const attachment = context.attachment()
      attachment.netns.inside(() =>
        context.world.ipBatch(['link add inner0 type veth peer name inner1', 'link set inner0 up'])
      )
      const outcome = context.call('ADD', attachment, { config: { master: 'inner0', linkInContainer: true } })
      say(succeeded(outcome), 'ADD succeeds', () => describeOutcome(outcome))
    }
  ),
  ...refusals('macvlan', {}),
  ...refusals('ipvlan', {}),
  ...refusals('vlan', { vlanId: 7 }),
  behaviour(['ipvlan', 'modes', 'MUST'], 'mode is l2, l3 or l3s; l2 when left out.', (context, say) => {
    const seen = [undefined, 'l2'].map(mode => infoData(linkInside(context, { mode }))['mode'])
    say(seen.join() === 'l2,l2', 'l2 both times', () => seen.join())
  }),
  behaviour(['vlan', 'id', 'MUST'], 'vlanId is the tag of the link.', (context, say) => {
    const link = linkInside(context, { vlanId: 77 })
    say(infoData(link)['id'] === 77, 'tag 77', () => stable(link['linkinfo']))
  }),
  behaviour(['dummy', 'kind', 'MUST'], 'The interface is of kind dummy.', (context, say) => {
    const link = linkInside(context, {})
    say(kindOf(link) === 'dummy', 'kind dummy', () => stable(link['linkinfo']))
  }),
  behaviour(['tap', 'kind', 'MUST'], 'The interface is a tap device.', (context, say) => {
    const link = linkInside(context, {})
    const data = infoData(link)
    say(kindOf(link) === 'tun' && data['type'] === 'tap', 'a tap device', () => stable(link['linkinfo']))
  }),
  behaviour(['tap', 'owner', 'MUST'], 'owner and group are set.', (context, say) => {
    const data = infoData(linkInside(context, { owner: 1234, group: 5678 }))
    const text = stable(data)
    say(text.includes('1234') && text.includes('5678'), 'owner 1234, group 5678', () => text)
  }),
  behaviour(
    ['host-device', 'there-and-back', 'MUST'],
    'The device moves into the container under CNI_IFNAME and comes home under its old name.',
    (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const inside = attachment.netns.inside(() => context.world.link('eth0'))
      say(inside !== undefined && context.world.link('spare0') === undefined, 'eth0 inside, spare0 away', () =>
        stable(inside ?? null)
      )
      context.must('DEL', attachment)
      say(context.world.link('spare0') !== undefined, 'spare0 is home', () =>
        context.world
          .links()
          .map(link => link['ifname'])
          .join()
      )
    }
  ),
  behaviour(['host-device', 'no-such-device', 'MUST'], 'A device that is not there is refused.', (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: { device: 'nowhere0' } })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  }),
  behaviour(
    ['ptp', 'host-route', 'MUST'],
    "The host has a route to the container and the gateway's address on its end.",
    (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const routes = context.world.json('ip', '-j', 'route', 'show').map(route => route['dst'])
      say(routes.includes('10.77.0.5'), 'a route to 10.77.0.5', () => routes.join(', '))
      const ends = { asker: context.world.host, server: attachment.netns }
      const [seen] = seenAs(context.world, ends, ['10.77.0.5'])
      say(seen === '10.77.0.1', 'the host reaches it as 10.77.0.1', () => String(seen))
    }
  ),
  behaviour(
    ['ptp', 'ip-masq', 'MUST'],
    "ipMasq lets the container reach the world under the host's address.",
    (context, say) => {
      const outside = context.world.outside()
      const attachment = context.attachment()
      context.mustAdd(attachment, { config: { ipMasq: true } })
      const [seen] = seenAs(context.world, { asker: attachment.netns, server: outside }, ['192.0.2.1'])
      say(seen === '192.0.2.2', 'the world sees 192.0.2.2', () => String(seen))
    }
  ),
  behaviour(['ptp', 'mtu', 'MUST'], 'mtu is set on the interface.', (context, say) => {
    const link = linkInside(context, { mtu: 1400 })
    say(link['mtu'] === 1400, 'MTU 1400', () => String(link['mtu']))
  }),
  behaviour(['loopback', 'addresses', 'MUST'], 'lo has 127.0.0.1/8 afterwards.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    const held = attachment.netns.inside(() => context.world.json('ip', '-j', 'address', 'show', 'dev', 'lo'))
    say(stable(held).includes('"127.0.0.1"'), '127.0.0.1', () => stable(held))
  })
]
