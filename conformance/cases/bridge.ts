/** bridge: what its keys do to the kernel. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import { isObject, type JsonObject, objects, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { seenAs } from '../probe.ts'

const BRIDGE = 'judge0'

/** ADD with these keys. */
function add(context: Context, config: JsonObject): { readonly attachment: Attachment; readonly result: JsonObject } {
  const attachment = context.attachment()
  return { attachment, result: context.mustAdd(attachment, { config }) }
}

/** The host's end of the container's pair, with details. */
function hostEnd(context: Context): JsonObject {
  return context.world.links().find(link => link['master'] === BRIDGE) ?? {}
}

/** A flag of the bridge's port. */
function portFlag(context: Context, flag: string): unknown {
  const info = hostEnd(context)['linkinfo']
  const data = isObject(info) ? info['info_slave_data'] : undefined
  return isObject(data) ? data[flag] : undefined
}

/** Changes that the reference's CHECK overlooks. */
const CHECK_NOTICES: readonly {
  readonly id: string
  readonly what: string
  readonly config: JsonObject
  readonly change: (context: Context, attachment: Attachment) => void
}[] = [
  {
    id: 'mtu',
    what: 'the MTU is another',
    config: { mtu: 1400 },
    change: (context, attachment) => {
      attachment.netns.inside(() => context.world.run('ip', 'link', 'set', 'eth0', 'mtu', '1300'))
    }
  },
  {
    id: 'hairpin',
    what: 'hairpin was turned off',
    config: { hairpinMode: true },
    change: context => {
      context.world.run('bridge', 'link', 'set', 'dev', String(hostEnd(context)['ifname']), 'hairpin', 'off')
    }
  },
  {
    id: 'masquerade',
    what: 'the masquerading was flushed',
    config: { ipMasq: true },
    change: context => {
      context.world.run('nft', 'flush', 'ruleset')
    }
  }
]

export const BRIDGE_BEHAVIOURS: readonly Behaviour[] = [
  behaviour(
    ['bridge', 'is-gateway', 'MUST'],
    "isGateway gives the bridge the gateway's address and turns forwarding on.",
    (context, say) => {
      add(context, { isGateway: true })
      const held = context.world.addresses(BRIDGE)
      say(
        held.includes('10.77.0.1/24') && held.includes('fd77::1/64'),
        '10.77.0.1/24 and fd77::1/64 on the bridge',
        () => held.join(', ')
      )
      const forward = [context.world.sysctl('ipv4/ip_forward'), context.world.sysctl('ipv6/conf/all/forwarding')]
      say(forward.join() === '1,1', 'forwarding is on', () => forward.join())
    }
  ),
  behaviour(['bridge', 'not-gateway', 'MUST'], 'Without isGateway the bridge has no address.', (context, say) => {
    add(context, { isGateway: false })
    const held = context.world.addresses(BRIDGE)
    say(held.length === 0, 'no address', () => held.join(', '))
  }),
  behaviour(
    ['bridge', 'is-default-gateway', 'MUST'],
    "isDefaultGateway makes the bridge the container's default gateway.",
    (context, say) => {
      const attachment = context.attachment()
      const parts = { ...attachment.parts, routes: [] }
      context.mustAdd({ ...attachment, parts }, { config: { isDefaultGateway: true } })
      const routes = attachment.netns.inside(() => context.world.routes())
      const holds = routes.some(route => route['dst'] === 'default' && route['gateway'] === '10.77.0.1')
      say(holds, 'a default route by 10.77.0.1', () => stable(routes))
    }
  ),
  behaviour(['bridge', 'mtu', 'MUST'], 'mtu is set on both ends of the pair.', (context, say) => {
    const { attachment } = add(context, { mtu: 1400 })
    const inside = attachment.netns.inside(() => context.world.link('eth0'))
    say(inside?.['mtu'] === 1400, 'eth0 has MTU 1400', () => String(inside?.['mtu']))
    const outside = hostEnd(context)['mtu']
    say(outside === 1400, 'the host end has MTU 1400', () => String(outside))
  }),
  behaviour(
    ['bridge', 'hairpin-mode', 'MUST'],
    'hairpinMode lets the port send back what came from it.',
    (context, say) => {
      add(context, { hairpinMode: true })
      const flag = portFlag(context, 'hairpin')
      say(flag === true, 'hairpin on', () => String(flag))
    }
  ),
  behaviour(['bridge', 'promisc-mode', 'MUST'], 'promiscMode makes the bridge promiscuous.', (context, say) => {
    add(context, { promiscMode: true })
    const flags = context.world.link(BRIDGE)?.['flags']
    say(Array.isArray(flags) && flags.includes('PROMISC'), 'flag PROMISC', () => stable(flags))
  }),
  behaviour(
    ['bridge', 'hairpin-or-promisc', 'MUST'],
    'hairpinMode together with promiscMode is refused.',
    (context, say) => {
      const outcome = context.call('ADD', context.attachment(), { config: { hairpinMode: true, promiscMode: true } })
      say(!succeeded(outcome), 'ADD fails', () => outcome.stdout)
    }
  ),
  behaviour(
    ['bridge', 'port-isolation', 'SHOULD'],
    'portIsolation keeps containers of one bridge apart.',
    (context, say) => {
      add(context, { portIsolation: true })
      const flag = portFlag(context, 'isolated')
      say(flag === true, 'the port is isolated', () => String(flag))
    }
  ),
  behaviour(
    ['bridge', 'not-a-bridge', 'MUST'],
    "A link of the bridge's name that is no bridge is refused.",
    (context, say) => {
      const outcome = context.call('ADD', context.attachment(), { config: { bridge: 'uplink' } })
      say(!succeeded(outcome), 'ADD fails', () => outcome.stdout)
    }
  ),
  behaviour(
    ['bridge', 'other-address', 'MUST'],
    'A bridge with another address of the family is refused, unless forceAddress.',
    (context, say) => {
      context.world.ipBatch([`link add ${BRIDGE} type bridge`, `address add 10.55.0.1/24 dev ${BRIDGE}`])
      const refused = context.call('ADD', context.attachment())
      say(!succeeded(refused), 'ADD fails', () => refused.stdout)
      add(context, { forceAddress: true })
      const held = context.world.addresses(BRIDGE)
      say(held.includes('10.77.0.1/24') && !held.includes('10.55.0.1/24'), 'forceAddress: the new address only', () =>
        held.join(', ')
      )
    }
  ),
  behaviour(
    ['bridge', 'layer-2', 'MUST'],
    'Without IPAM the container gets an interface without address.',
    (context, say) => {
      const { attachment } = add(context, { ipam: {}, isGateway: false })
      const held = attachment.netns.inside(() => context.world.addresses('eth0'))
      say(held.length === 0, 'no address', () => held.join(', '))
    }
  ),
  behaviour(['bridge', 'layer-2-check', 'SHOULD'], 'CHECK works on a network without IPAM.', (context, say) => {
    const attachment = context.attachment()
    const config = { ipam: {}, isGateway: false }
    context.mustAdd(attachment, { config })
    const outcome = context.call('CHECK', attachment, { config })
    say(succeeded(outcome), 'CHECK succeeds', () => outcome.stdout)
  }),
  behaviour(
    ['bridge', 'steady-mac', 'SHOULD'],
    'The bridge keeps its hardware address as containers come and go.',
    (context, say) => {
      const seen = new Set<unknown>()
      for (let i = 0; i < 4; i += 1) {
        add(context, { isGateway: false })
        seen.add(context.world.link(BRIDGE)?.['address'])
      }
      say(seen.size === 1, 'one address throughout', () => [...seen].join(', '))
    }
  ),
  behaviour(
    ['bridge', 'reconciles', 'SHOULD'],
    'The MTU of the configuration reaches a bridge that exists.',
    (context, say) => {
      context.world.run('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
      add(context, { mtu: 1400 })
      const mtu = context.world.link(BRIDGE)?.['mtu']
      say(mtu === 1400, 'the bridge has MTU 1400', () => String(mtu))
    }
  ),
  behaviour(
    ['bridge', 'neighbours-talk', 'MUST'],
    'Two containers of the network reach each other.',
    (context, say) => {
      const one = add(context, {}).attachment
      const other = add(context, {}).attachment
      const [seen, v6] = seenAs(context.world, { asker: other.netns, server: one.netns }, ['10.77.0.5', 'fd77::5'])
      say(seen === '10.77.0.6', 'an answer to 10.77.0.6', () => String(seen))
      say(v6 === 'fd77::6', 'an answer to fd77::6', () => String(v6))
    }
  ),
  behaviour(
    ['bridge', 'ip-masq', 'MUST'],
    "ipMasq lets containers reach the world under the host's address, and only then.",
    (context, say) => {
      const outside = context.world.outside()
      const attachment = context.attachment()
      const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
      context.mustAdd({ ...attachment, parts: { ...attachment.parts, routes } }, { config: { ipMasq: true } })
      const ends = { asker: attachment.netns, server: outside }
      // A gateway's address may still be checked for duplicates when ADD is over: the answer is waited for.
      const [seen, v6] = seenAs(context.world, ends, ['192.0.2.1', '2001:db8:0:2::1'])
      say(seen === '192.0.2.2', 'the world sees 192.0.2.2', () => String(seen))
      say(v6 === '2001:db8:0:2::2', 'the world sees 2001:db8:0:2::2', () => String(v6))
    }
  ),
  behaviour(
    ['bridge', 'ip-masq-two-interfaces', 'SHOULD'],
    "DEL of one interface leaves the masquerading of the same container's other one.",
    (context, say) => {
      const outside = context.world.outside()
      const config = { ipMasq: true }
      const first = context.attachment()
      context.mustAdd(first, { config })
      const second = context.attachment({ netns: first.netns, ifName: 'net1', containerId: first.containerId })
      const parts = { ...second.parts, routes: [] }
      context.mustAdd({ ...second, parts }, { config })
      context.must('DEL', second, { config })
      const [seen] = seenAs(context.world, { asker: first.netns, server: outside }, ['192.0.2.1'])
      say(seen === '192.0.2.2', 'the world still sees 192.0.2.2', () => String(seen))
    }
  ),
  behaviour(
    ['bridge', 'ip-masq-gone', 'SHOULD'],
    'After a DEL that knows neither namespace nor prevResult no masquerading rule is left.',
    (context, say) => {
      const config = { ipMasq: true }
      add(context, config)
      const attachment = context.attachment()
      const before = context.world.ruleLines()
      context.mustAdd(attachment, { config })
      attachment.netns.remove()
      context.call('DEL', attachment, { config, env: { CNI_NETNS: '' }, noPrevResult: true })
      const left = context.world.ruleLines().filter(line => !before.includes(line) && !line.includes('elements'))
      say(left.length === 0, 'the ruleset is as before', () => left.join('; '))
    }
  ),
  behaviour(['bridge', 'dns', 'MUST'], 'dns of the configuration is in the result.', (context, say) => {
    const dns = { nameservers: ['192.0.2.53'], domain: 'a.example', search: ['b.example'], options: ['rotate'] }
    const { result } = add(context, { dns })
    const found = isObject(result['dns']) ? result['dns'] : {}
    say(stable(found) === stable(dns), stable(dns), () => stable(found))
  }),
  behaviour(
    ['bridge', 'result-interfaces', 'MUST'],
    'The result lists bridge, host end and container end in this order.',
    (context, say) => {
      const { result } = add(context, {})
      const names = objects(result['interfaces']).map(one => one['name'])
      const holds = names[0] === BRIDGE && names[1] === hostEnd(context)['ifname'] && names[2] === 'eth0'
      say(holds, `${BRIDGE}, its port, eth0`, () => names.join(', '))
    }
  ),
  behaviour(
    ['bridge', 'v6-at-once', 'SHOULD'],
    'IPv6 addresses can be used as soon as ADD is over, and ADD does not wait for it.',
    (context, say) => {
      const attachment = context.attachment()
      const started = Date.now()
      context.mustAdd(attachment)
      const milliseconds = Date.now() - started
      say(milliseconds < 1000, 'ADD within a second', () => `${milliseconds} ms`)
      const inside = attachment.netns.inside(() =>
        context.world.run('ip', '-6', 'address', 'show', 'dev', 'eth0', 'tentative')
      )
      say(!inside.includes('fd77::5'), "the container's address is settled", () => inside)
      const outside = context.world.run('ip', '-6', 'address', 'show', 'dev', BRIDGE, 'tentative')
      say(!outside.includes('fd77::1'), "the gateway's address is settled", () => outside)
    }
  ),
  ...CHECK_NOTICES.map(({ id, what, config, change }) =>
    behaviour(['bridge', `check-${id}`, 'SHOULD'], `CHECK notices that ${what}.`, (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment, { config })
      context.must('CHECK', attachment, { config })
      change(context, attachment)
      const outcome = context.call('CHECK', attachment, { config })
      say(!succeeded(outcome), 'CHECK fails', () => describeOutcome(outcome))
    })
  )
]
