/** Plugins that come later in a chain: what they do to ports, rules, sysctls and queues. */
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import { isObject, type JsonObject, objects, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { ask, askOnce, Server, type Transport } from '../probe.ts'

function publishing(...mappings: readonly JsonObject[]): JsonObject {
  return { runtimeConfig: { portMappings: mappings } }
}

function mapping(more: JsonObject = {}): JsonObject {
  return { hostPort: 18080, containerPort: 80, protocol: 'tcp', ...more }
}

/** A host that forwards, as a bridge plugin would have left it, and one container on it. */
function wired(context: Context): Attachment {
  const attachment = context.attachment()
  context.world.setSysctl('ipv4/ip_forward', '1')
  context.world.setSysctl('ipv6/conf/all/forwarding', '1')
  return attachment
}

/** Publishes and asks from everywhere. */
function published(context: Context, transport: Transport, config: JsonObject) {
  const attachment = wired(context)
  const outside = context.world.outside()
  context.mustAdd(attachment, { config })
  const server = Server.start(context.world, attachment.netns, transport, 80)
  return { attachment, outside, server }
}

function queueKinds(context: Context, device?: string): readonly string[] {
  return context.world
    .json('tc', '-j', 'qdisc', 'show')
    .filter(one => device === undefined || one['dev'] === device)
    .map(one => String(one['kind']))
}

export const CHAINED_BEHAVIOURS: readonly Behaviour[] = [
  behaviour(
    ['portmap', 'from-outside', 'MUST'],
    'A published port is reached from outside, and the container sees who asks.',
    (context, say) => {
      const { outside, server } = published(context, 'tcp', publishing(mapping()))
      const seen = outside.inside(() => ask('tcp', '192.0.2.2', 18080))
      say(seen === '192.0.2.1', 'the container sees 192.0.2.1', () => String(seen))
      server.stop()
    }
  ),
  behaviour(
    ['portmap', 'from-host', 'MUST'],
    'A published port is reached from the host by its own address and by 127.0.0.1.',
    (context, say) => {
      const { server } = published(context, 'tcp', publishing(mapping()))
      for (const address of ['192.0.2.2', '127.0.0.1']) {
        const seen = ask('tcp', address, 18080)
        say(seen !== undefined, `an answer on ${address}`, () => String(seen))
      }
      server.stop()
    }
  ),
  behaviour(
    ['portmap', 'from-neighbour', 'MUST'],
    "A neighbour on the bridge reaches a published port by the host's address.",
    (context, say) => {
      const { server } = published(context, 'tcp', publishing(mapping()))
      const neighbour = context.attachment()
      const seen = neighbour.netns.inside(() => ask('tcp', '192.0.2.2', 18080))
      say(seen !== undefined, 'an answer', () => String(seen))
      server.stop()
    }
  ),
  behaviour(['portmap', 'udp', 'MUST'], 'UDP ports are published as well.', (context, say) => {
    const { outside, server } = published(context, 'udp', publishing(mapping({ protocol: 'udp' })))
    const seen = outside.inside(() => ask('udp', '192.0.2.2', 18080))
    say(seen === '192.0.2.1', 'the container sees 192.0.2.1', () => String(seen))
    server.stop()
  }),
  behaviour(['portmap', 'v6', 'MUST'], 'A published port is reached over IPv6.', (context, say) => {
    const { outside, server } = published(context, 'tcp', publishing(mapping()))
    const seen = outside.inside(() => ask('tcp', '2001:db8:0:2::2', 18080))
    say(seen === '2001:db8:0:2::1', 'the container sees 2001:db8:0:2::1', () => String(seen))
    server.stop()
  }),
  behaviour(['portmap', 'host-ip', 'MUST'], 'With hostIP only that address is published.', (context, say) => {
    context.world.run('ip', 'address', 'add', '192.0.2.3/24', 'dev', 'uplink')
    const { outside, server } = published(context, 'tcp', publishing(mapping({ hostIP: '192.0.2.3' })))
    const right = outside.inside(() => ask('tcp', '192.0.2.3', 18080))
    say(right === '192.0.2.1', 'an answer on 192.0.2.3', () => String(right))
    const wrong = outside.inside(() => askOnce('tcp', '192.0.2.2', 18080))
    say(wrong === undefined, 'none on 192.0.2.2', () => String(wrong))
    server.stop()
  }),
  behaviour(['portmap', 'any-host-ip', 'MUST'], 'hostIP 0.0.0.0 publishes all addresses.', (context, say) => {
    const { outside, server } = published(context, 'tcp', publishing(mapping({ hostIP: '0.0.0.0' })))
    const seen = outside.inside(() => ask('tcp', '192.0.2.2', 18080))
    say(seen === '192.0.2.1', 'an answer', () => String(seen))
    server.stop()
  }),
  behaviour(['portmap', 'gone', 'MUST'], 'After DEL the port is published no more.', (context, say) => {
    const config = publishing(mapping())
    const { attachment, outside, server } = published(context, 'tcp', config)
    context.must('DEL', attachment, { config })
    const seen = outside.inside(() => askOnce('tcp', '192.0.2.2', 18080))
    say(seen === undefined, 'no answer', () => String(seen))
    server.stop()
  }),
  behaviour(
    ['portmap', 'gone-without-knowledge', 'SHOULD'],
    'DEL that knows neither namespace nor mappings nor prevResult removes the mappings.',
    (context, say) => {
      const { attachment, outside, server } = published(context, 'tcp', publishing(mapping()))
      context.must('DEL', attachment, {
        config: { runtimeConfig: undefined },
        env: { CNI_NETNS: '' },
        noPrevResult: true
      })
      const seen = outside.inside(() => askOnce('tcp', '192.0.2.2', 18080))
      say(seen === undefined, 'no answer', () => String(seen))
      server.stop()
    }
  ),
  behaviour(
    ['portmap', 'taken', 'SHOULD'],
    'A port that another container has published is refused.',
    (context, say) => {
      const config = publishing(mapping())
      context.mustAdd(wired(context), { config })
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['portmap', 'two-networks', 'SHOULD'],
    "DEL on one network leaves the same container's mappings of another network.",
    (context, say) => {
      const { attachment, outside, server } = published(context, 'tcp', publishing(mapping()))
      const config = { ...publishing(mapping({ hostPort: 18081 })), name: 'othernet' }
      const { netns, containerId } = attachment
      const twin = context.attachment({ netns, containerId, ifName: 'eth1' })
      context.mustAdd(twin, { config })
      context.must('DEL', twin, { config })
      const seen = outside.inside(() => ask('tcp', '192.0.2.2', 18080))
      say(seen === '192.0.2.1', 'port 18080 still answers', () => String(seen))
      server.stop()
    }
  ),
  behaviour(['portmap', 'bad-port', 'MUST'], 'Port 0 is refused.', (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: publishing(mapping({ hostPort: 0 })) })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  }),
  behaviour(['portmap', 'nothing-to-do', 'MUST'], 'Without mappings no rule is made.', (context, say) => {
    const attachment = context.attachment()
    const before = context.world.ruleLines().length
    context.mustAdd(attachment, { config: { runtimeConfig: undefined } })
    const after = context.world.ruleLines().length
    say(after === before, `${before} lines of ruleset`, () => String(after))
  }),
  behaviour(
    ['firewall', 'opens', 'MUST'],
    "Traffic to and from the container passes although the host's FORWARD policy is DROP.",
    (context, say) => {
      const attachment = wired(context)
      const outside = context.world.outside()
      context.world.run('iptables', '-P', 'FORWARD', 'DROP')
      outside.inside(() => context.world.run('ip', 'route', 'add', '10.88.0.0/24', 'via', '192.0.2.2'))
      const server = Server.start(context.world, outside, 'tcp', 8080)
      const closed = attachment.netns.inside(() => askOnce('tcp', '192.0.2.1', 8080))
      context.mustAdd(attachment)
      const open = attachment.netns.inside(() => ask('tcp', '192.0.2.1', 8080))
      say(
        closed === undefined && open === '10.88.0.5',
        'closed before, open after ADD',
        () => `${closed}, then ${open}`
      )
      context.must('DEL', attachment)
      const again = attachment.netns.inside(() => askOnce('tcp', '192.0.2.1', 8080))
      say(again === undefined, 'closed after DEL', () => String(again))
      server.stop()
    }
  ),
  behaviour(
    ['firewall', 'same-bridge', 'MUST'],
    'ingressPolicy same-bridge keeps containers of other bridges out and neighbours in.',
    (context, say) => {
      const attachment = wired(context)
      const neighbour = context.attachment()
      const stranger = otherBridge(context)
      const server = Server.start(context.world, attachment.netns, 'tcp', 8080)
      const before = stranger.inside(() => ask('tcp', '10.88.0.5', 8080))
      context.mustAdd(attachment, { config: { ingressPolicy: 'same-bridge' } })
      // The other bridge belongs to a network with the same policy.
      context.mustAdd({ ...neighbour }, { config: { ingressPolicy: 'same-bridge' } })
      strangersAdd(context, stranger)
      const after = stranger.inside(() => askOnce('tcp', '10.88.0.5', 8080))
      const near = neighbour.netns.inside(() => ask('tcp', '10.88.0.5', 8080))
      const seen = () => `stranger ${before}, then ${after}; neighbour ${near}`
      say(
        before !== undefined && after === undefined && near === '10.88.0.6',
        'the stranger is out, the neighbour in',
        seen
      )
      server.stop()
    }
  ),
  behaviour(
    ['tuning', 'sysctl', 'MUST'],
    'sysctl sets values of the container, also with IFNAME in them, and DEL of nothing harms.',
    (context, say) => {
      const attachment = context.attachment()
      const sysctl = { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_filter': '1' }
      const outcome = context.call('ADD', attachment, { config: { mtu: undefined, sysctl } })
      const seen = attachment.netns.inside(() => [
        context.world.sysctl('core/somaxconn'),
        context.world.sysctl('ipv4/conf/eth0/arp_filter')
      ])
      say(
        succeeded(outcome) && seen.join() === '500,1',
        'somaxconn 500, arp_filter 1',
        () => `${seen.join()}; ${describeOutcome(outcome)}`
      )
    }
  ),
  behaviour(
    ['tuning', 'dotted-name', 'SHOULD'],
    'IFNAME stands for an interface whose name has a dot as well.',
    (context, say) => {
      const attachment = context.attachment({ ifName: 'eth0.7' })
      const outcome = context.call('ADD', attachment, {
        config: { mtu: undefined, sysctl: { 'net/ipv4/conf/IFNAME/arp_filter': '1' } }
      })
      const seen = attachment.netns.inside(() => context.world.sysctl('ipv4/conf/eth0.7/arp_filter'))
      say(succeeded(outcome) && seen === '1', 'arp_filter 1', () => `${seen}; ${describeOutcome(outcome)}`)
    }
  ),
  behaviour(
    ['tuning', 'only-net', 'MUST'],
    'Values outside net are refused, whatever the path looks like.',
    (context, say) => {
      for (const key of [
        'kernel.hostname',
        'net.ipv4/../../kernel/hostname',
        'net/../kernel/hostname',
        '/proc/sys/net/core/somaxconn/../../../kernel/hostname'
      ]) {
        const outcome = context.call('ADD', context.attachment(), {
          config: { mtu: undefined, sysctl: { [key]: 'pwned' } }
        })
        say(!succeeded(outcome), `${key} is refused`, () => describeOutcome(outcome))
      }
    }
  ),
  behaviour(
    ['tuning', 'link', 'MUST'],
    'mac, mtu, promisc and allmulti are set, and taken back by DEL.',
    (context, say) => {
      const attachment = context.attachment()
      const look = () => attachment.netns.inside(() => context.world.link('eth0')) ?? {}
      const before = look()
      const config = { mac: '02:11:22:33:44:55', mtu: 1300, promisc: true, allmulti: true }
      context.mustAdd(attachment, { config })
      const during = look()
      const flags = stable(during['flags'])
      const set =
        during['address'] === config.mac &&
        during['mtu'] === 1300 &&
        flags.includes('PROMISC') &&
        flags.includes('ALLMULTI')
      say(set, stable(config), () => stable({ mac: during['address'], mtu: during['mtu'], flags: during['flags'] }))
      context.must('DEL', attachment, { config })
      const after = look()
      const same = ['address', 'mtu', 'flags'].every(key => stable(after[key]) === stable(before[key]))
      say(same, 'as before ADD', () => stable({ mac: after['address'], mtu: after['mtu'], flags: after['flags'] }))
    }
  ),
  behaviour(['tuning', 'result-mac', 'MUST'], 'A changed hardware address is in the result.', (context, say) => {
    const result = context.mustAdd(context.attachment(), { config: { mtu: undefined, mac: '02:11:22:33:44:55' } })
    const own = objects(result['interfaces']).find(one => one['name'] === 'eth0')
    say(own?.['mac'] === '02:11:22:33:44:55', '02:11:22:33:44:55', () => stable(own ?? null))
  }),
  behaviour(['tuning', 'result-mtu', 'SHOULD'], 'A changed MTU is in the result.', (context, say) => {
    const result = context.mustAdd(context.attachment(), { config: { mtu: 1300 } })
    const own = objects(result['interfaces']).find(one => one['name'] === 'eth0')
    say(own?.['mtu'] === 1300, '1300', () => stable(own ?? null))
  }),
  behaviour(
    ['bandwidth', 'queues', 'MUST'],
    'Limits become token buckets of that rate, towards the container and from it.',
    (context, say) => {
      context.mustAdd(context.attachment())
      const buckets = context.world.json('tc', '-j', 'qdisc', 'show').filter(one => one['kind'] === 'tbf')
      // tc tells bytes per second.
      const rates = buckets.map(one => (isObject(one['options']) ? one['options']['rate'] : undefined))
      say(rates.length === 2 && rates.every(rate => rate === 1_000_000), 'two of 8 Mbit/s', () => stable(buckets))
    }
  ),
  behaviour(['bandwidth', 'gone', 'SHOULD'], 'DEL removes all it made.', (context, say) => {
    const attachment = context.attachment()
    const before = queueKinds(context).join()
    context.mustAdd(attachment)
    context.must('DEL', attachment)
    const after = queueKinds(context).join()
    say(after === before, `queues ${before}`, () => after)
  }),
  behaviour(
    ['bandwidth', 'no-limits', 'MUST'],
    'Without limits it passes the result on and makes nothing.',
    (context, say) => {
      const attachment = context.attachment()
      const before = queueKinds(context).join()
      const none = { ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined }
      const outcome = context.call('ADD', attachment, { config: none })
      say(succeeded(outcome) && queueKinds(context).join() === before, 'ADD succeeds, no queue', () =>
        describeOutcome(outcome)
      )
    }
  ),
  behaviour(['bandwidth', 'rate-without-burst', 'MUST'], 'A rate without burst is refused.', (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: { ingressBurst: undefined } })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  }),
  behaviour(
    ['sbr', 'rule-and-table', 'MUST'],
    "Traffic from the interface's address has a routing table of its own.",
    (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const rules = attachment.netns.inside(() => context.world.json('ip', '-j', 'rule', 'show'))
      const rule = rules.find(one => one['src'] === '10.88.0.5')
      say(rule !== undefined, 'a rule from 10.88.0.5', () => stable(rules))
      const table = String(rule?.['table'])
      const routes = attachment.netns.inside(() => context.world.json('ip', '-j', 'route', 'show', 'table', table))
      say(
        routes.some(one => one['dst'] === 'default'),
        `a default route in table ${table}`,
        () => stable(routes)
      )
    }
  ),
  behaviour(['vrf', 'member', 'MUST'], 'The interface is a member of the VRF.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    const link = attachment.netns.inside(() => context.world.link('eth0'))
    say(link?.['master'] === 'blue', 'master blue', () => String(link?.['master']))
  })
]

/** A container on another bridge that the host forwards for. */
function otherBridge(context: Context) {
  const netns = context.world.newContainer('stranger')
  context.world.ipBatch([
    'link add otherbr type bridge',
    'link set otherbr up',
    'address add 10.89.0.1/24 dev otherbr',
    `link add otherhost type veth peer name eth0 netns ${netns.path.slice('/run/netns/'.length)}`,
    'link set otherhost master otherbr up'
  ])
  netns.inside(() =>
    context.world.ipBatch(['link set eth0 up', 'address add 10.89.0.5/24 dev eth0', 'route add default via 10.89.0.1'])
  )
  return netns
}

function strangersAdd(context: Context, netns: ReturnType<typeof otherBridge>): void {
  const prevResult = {
    cniVersion: context.newest(),
    interfaces: [{ name: 'otherbr' }, { name: 'otherhost' }, { name: 'eth0', sandbox: netns.path }],
    ips: [{ address: '10.89.0.5/24', gateway: '10.89.0.1', interface: 2 }]
  }
  const attachment = {
    containerId: 'judge-stranger',
    ifName: 'eth0',
    netns,
    parts: { interfaces: [], ips: [], routes: [], dns: {} },
    keys: {},
    result: undefined
  }
  context.mustAdd(attachment, { prevResult, config: { name: 'strangers', ingressPolicy: 'same-bridge' } })
}
