/** The keys of portmap, firewall, tuning, bandwidth, sbr and vrf that cases/chained.ts leaves out. */
import { existsSync } from 'node:fs'
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Attachment, Context } from '../case.ts'
import { isObject, type JsonObject, objects, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { ask, askOnce, Server } from '../probe.ts'

function publishing(config: JsonObject = {}): JsonObject {
  const portMappings = [{ hostPort: 18080, containerPort: 80, protocol: 'tcp' }]
  return { ...config, runtimeConfig: { portMappings } }
}

/** A host that forwards, as a bridge plugin would have left it, and one container on it. */
function wired(context: Context): Attachment {
  const attachment = context.attachment()
  context.world.setSysctl('ipv4/ip_forward', '1')
  return attachment
}

/** Publishes port 80 as 18080 with these keys, and asks from outside. */
function fromOutside(context: Context, config: JsonObject): string | undefined {
  const attachment = wired(context)
  const outside = context.world.outside()
  context.mustAdd(attachment, { config: publishing(config) })
  const server = Server.start(context.world, attachment.netns, 'tcp', 80)
  try {
    return outside.inside(() => ask('tcp', '192.0.2.2', 18080))
  } finally {
    server.stop()
  }
}

function rulesWith(context: Context, pattern: RegExp): readonly string[] {
  return context.world.ruleLines().filter(line => pattern.test(line))
}

function buckets(context: Context): readonly JsonObject[] {
  return context.world.json('tc', '-j', 'qdisc', 'show').filter(one => one['kind'] === 'tbf')
}

const NO_LIMITS = { ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined }

const PORTMAP: readonly Behaviour[] = [
  behaviour(['portmap', 'backend', 'SHOULD'], 'backend says where the mapping stands.', (context, say) => {
    for (const backend of ['nftables', 'iptables']) {
      const attachment = wired(context)
      const config = publishing({ backend })
      context.mustAdd(attachment, { config })
      const inIptables = rulesWith(context, /^nft table ip6? nat .*(18080|DNAT|dnat)/).length > 0
      say(inIptables === (backend === 'iptables'), `${backend}: there`, () => context.world.ruleLines().join('; '))
      context.must('DEL', attachment, { config })
    }
  }),
  behaviour(['portmap', 'snat-off', 'MUST'], 'Without snat no source address is replaced.', (context, say) => {
    const attachment = wired(context)
    context.mustAdd(attachment, { config: publishing({ snat: false }) })
    const server = Server.start(context.world, attachment.netns, 'tcp', 80)
    const masquerading = rulesWith(context, /masquerade|MASQUERADE/)
    say(masquerading.length === 0, 'no rule that masquerades', () => masquerading.join('; '))
    const seen = ask('tcp', '192.0.2.2', 18080)
    say(seen !== undefined, "still reached by the host's own address", () => String(seen))
    server.stop()
  }),
  behaviour(['portmap', 'masq-all', 'SHOULD'], 'masqAll replaces every source address.', (context, say) => {
    const seen = fromOutside(context, { masqAll: true })
    say(seen === '10.88.0.1', "the container sees the bridge's address", () => String(seen))
  }),
  behaviour(['portmap', 'mark-bit', 'MUST'], 'markMasqBit is the bit that asks for masquerading.', (context, say) => {
    context.mustAdd(wired(context), { config: publishing({ backend: 'iptables', markMasqBit: 5 }) })
    const found = rulesWith(context, /mark .*0x0*20\b/)
    say(found.length > 0, 'rules about mark 0x20', () => rulesWith(context, /mark/).join('; '))
  }),
  behaviour(['portmap', 'external-chain', 'MUST'], 'externalSetMarkChain is asked for the mark.', (context, say) => {
    context.world.run('iptables', '-t', 'nat', '-N', 'JUDGE-MARK')
    context.world.try('ip6tables', '-t', 'nat', '-N', 'JUDGE-MARK')
    const config = publishing({ backend: 'iptables', externalSetMarkChain: 'JUDGE-MARK' })
    context.mustAdd(wired(context), { config })
    const found = rulesWith(context, /jump JUDGE-MARK/)
    say(found.length > 0, 'a jump to it', () => rulesWith(context, /18080/).join('; '))
    const both = { ...config, markMasqBit: 3 }
    const outcome = context.call('ADD', context.attachment(), { config: both })
    say(!succeeded(outcome), 'refused together with markMasqBit', () => describeOutcome(outcome))
  }),
  behaviour(['portmap', 'conditions', 'MUST'], 'conditionsV4 limits who is let to the port.', (context, say) => {
    const conditionsV4 = ['!', '-s', '192.0.2.1/32']
    const seen = fromOutside(context, { backend: 'iptables', conditionsV4 })
    say(seen === undefined, 'no answer to 192.0.2.1', () => String(seen))
  }),
  behaviour(['portmap', 'conditions-let-in', 'MUST'], 'conditionsV4 lets in whom it names.', (context, say) => {
    const seen = fromOutside(context, { backend: 'iptables', conditionsV4: ['-s', '192.0.2.1/32'] })
    say(seen === '192.0.2.1', 'an answer to 192.0.2.1', () => String(seen))
  }),
  behaviour(['portmap', 'conditions-v6', 'MUST'], 'conditionsV6 stands in the IPv6 rules.', (context, say) => {
    const conditionsV6 = ['-s', '2001:db8:0:9::/64']
    context.mustAdd(wired(context), { config: publishing({ backend: 'iptables', conditionsV6 }) })
    const found = rulesWith(context, /2001:db8:0:9::\/64/)
    say(found.length > 0, 'a rule about 2001:db8:0:9::/64', () => rulesWith(context, /ip6 nat/).join('; '))
  }),
  behaviour(['portmap', 'sctp', 'MUST'], 'SCTP ports are published as well.', (context, say) => {
    const portMappings = [{ hostPort: 18080, containerPort: 80, protocol: 'sctp' }]
    const outcome = context.call('ADD', wired(context), { config: { runtimeConfig: { portMappings } } })
    const found = rulesWith(context, /sctp/)
    say(succeeded(outcome) && found.length > 0, 'a rule about sctp', () => describeOutcome(outcome))
  })
]

const FIREWALL: readonly Behaviour[] = [
  behaviour(
    ['firewall', 'isolated', 'SHOULD'],
    'ingressPolicy isolated keeps neighbours of the same bridge out; the container reaches the world.',
    (context, say) => {
      const config = { ingressPolicy: 'isolated' }
      const attachment = wired(context)
      const neighbour = context.attachment()
      const outside = context.world.outside()
      outside.inside(() => context.world.run('ip', 'route', 'add', '10.88.0.0/24', 'via', '192.0.2.2'))
      const server = Server.start(context.world, attachment.netns, 'tcp', 8080)
      const world = Server.start(context.world, outside, 'tcp', 8081)
      const before = neighbour.netns.inside(() => ask('tcp', '10.88.0.5', 8080))
      context.mustAdd(attachment, { config })
      context.mustAdd(neighbour, { config })
      const after = neighbour.netns.inside(() => askOnce('tcp', '10.88.0.5', 8080))
      const out = attachment.netns.inside(() => ask('tcp', '192.0.2.1', 8081))
      const seen = () => `neighbour ${before}, then ${after}; the world sees ${out}`
      say(before === '10.88.0.6' && after === undefined, 'the neighbour in before, out after', seen)
      say(out === '10.88.0.5', 'the world is reached', seen)
      context.must('DEL', neighbour, { config })
      context.must('DEL', attachment, { config })
      const again = neighbour.netns.inside(() => ask('tcp', '10.88.0.5', 8080))
      say(again === '10.88.0.6', 'in again after DEL', () => String(again))
      server.stop()
      world.stop()
    }
  ),
  behaviour(['firewall', 'open-policy', 'MUST'], 'ingressPolicy open lets strangers in.', (context, say) => {
    const attachment = wired(context)
    const outside = context.world.outside()
    outside.inside(() => context.world.run('ip', 'route', 'add', '10.88.0.0/24', 'via', '192.0.2.2'))
    context.mustAdd(attachment, { config: { ingressPolicy: 'open' } })
    const server = Server.start(context.world, attachment.netns, 'tcp', 8080)
    const seen = outside.inside(() => ask('tcp', '10.88.0.5', 8080))
    say(seen === '192.0.2.1', 'an answer to 192.0.2.1', () => String(seen))
    server.stop()
  }),
  behaviour(['firewall', 'bad-policy', 'MUST'], 'A policy that does not exist is refused.', (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: { ingressPolicy: 'closed' } })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  }),
  behaviour(
    ['firewall', 'admin-chain', 'MUST'],
    'iptablesAdminChainName is asked first, and left alone.',
    (context, say) => {
      context.world.run('iptables', '-N', 'JUDGE-ADMIN')
      context.world.run('iptables', '-A', 'JUDGE-ADMIN', '-s', '203.0.113.9/32', '-j', 'DROP')
      const config = { backend: 'iptables', iptablesAdminChainName: 'JUDGE-ADMIN' }
      const attachment = wired(context)
      context.mustAdd(attachment, { config })
      const jump = rulesWith(context, /jump JUDGE-ADMIN/)
      say(jump.length > 0, 'a jump to it', () => rulesWith(context, /CNI/).join('; '))
      context.must('DEL', attachment, { config })
      const own = rulesWith(context, /203\.0\.113\.9/)
      say(own.length === 1, "the administrator's rule is still there", () => own.join('; '))
    }
  ),
  behaviour(
    ['firewall', 'firewalld-missing', 'SHOULD'],
    'backend firewalld without firewalld makes ADD fail.',
    (context, say) => {
      const env = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' }
      const config = { backend: 'firewalld', firewalldZone: 'trusted' }
      const outcome = context.call('ADD', context.attachment(), { config, env })
      say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
    }
  )
]

/** What tuning is asked for by each source, and what came of it. */
function tunedMac(context: Context, config: JsonObject, env: Record<string, string> = {}): unknown {
  const attachment = context.attachment()
  context.mustAdd(attachment, { config: { mtu: undefined, ...config }, env })
  return attachment.netns.inside(() => context.world.link('eth0'))?.['address']
}

const TUNING: readonly Behaviour[] = [
  behaviour(
    ['tuning', 'tx-queue', 'SHOULD'],
    'txQLen is the length of the transmit queue, and DEL restores it.',
    (context, say) => {
      const attachment = context.attachment()
      const length = () => attachment.netns.inside(() => context.world.link('eth0'))?.['txqlen']
      const before = length()
      const config = { mtu: undefined, txQLen: 4321 }
      context.mustAdd(attachment, { config })
      const during = length()
      context.must('DEL', attachment, { config })
      say(during === 4321 && length() === before, `4321, then ${before}`, () => `${during}, then ${length()}`)
    }
  ),
  behaviour(['tuning', 'data-dir', 'SHOULD'], 'dataDir is where it keeps what it will restore.', (context, say) => {
    const dataDir = `${context.world.folder}/tuning`
    const attachment = context.attachment()
    context.mustAdd(attachment, { config: { dataDir } })
    const path = `${dataDir}/${attachment.containerId}_eth0.json`
    say(existsSync(path), `${path} is there`, () => 'it is not')
    context.must('DEL', attachment, { config: { dataDir } })
    say(!existsSync(path), 'DEL removes it', () => 'it is still there')
  }),
  behaviour(
    ['tuning', 'mac-sources', 'SHOULD'],
    'A MAC of runtimeConfig beats args.cni, that CNI_ARGS, that the key mac.',
    (context, say) => {
      const mac = '02:00:00:00:00:01'
      const env = { CNI_ARGS: 'IgnoreUnknown=1;MAC=02:00:00:00:00:02' }
      const args = { cni: { mac: '02:00:00:00:00:03' } }
      const runtimeConfig = { mac: '02:00:00:00:00:04' }
      const seen = [
        tunedMac(context, { mac }),
        tunedMac(context, { mac }, env),
        tunedMac(context, { mac, args }, env),
        tunedMac(context, { mac, args, runtimeConfig }, env)
      ].map(one => String(one).slice(-2))
      say(seen.join() === '01,02,03,04', '01, 02, 03, 04', () => seen.join(', '))
    }
  ),
  behaviour(['tuning', 'args', 'SHOULD'], 'args.cni replaces mtu, promisc, allmulti and sysctl.', (context, say) => {
    const attachment = context.attachment()
    const sysctl = { 'net.core.somaxconn': '501' }
    const config = { mtu: 1400, args: { cni: { mtu: 1350, promisc: true, allmulti: true, sysctl } } }
    context.mustAdd(attachment, { config })
    const link = attachment.netns.inside(() => context.world.link('eth0')) ?? {}
    const value = attachment.netns.inside(() => context.world.sysctl('core/somaxconn'))
    const flags = stable(link['flags'])
    const holds = link['mtu'] === 1350 && flags.includes('PROMISC') && flags.includes('ALLMULTI') && value === '501'
    say(holds, '1350, PROMISC, ALLMULTI, 501', () => `${link['mtu']}, ${flags}, ${value}`)
  }),
  behaviour(['tuning', 'unknown-sysctl', 'MUST'], 'A sysctl that does not exist makes ADD fail.', (context, say) => {
    const config = { mtu: undefined, sysctl: { 'net.ipv4.no_such_value': '1' } }
    const outcome = context.call('ADD', context.attachment(), { config })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  })
]

const BANDWIDTH: readonly Behaviour[] = [
  behaviour(
    ['bandwidth', 'runtime', 'MUST'],
    'Limits of runtimeConfig count where the configuration has none.',
    (context, say) => {
      const bandwidth = { ingressRate: 16_000_000, ingressBurst: 1_600_000, egressRate: 0, egressBurst: 0 }
      context.mustAdd(context.attachment(), { config: { ...NO_LIMITS, runtimeConfig: { bandwidth } } })
      const rates = buckets(context).map(one => (isObject(one['options']) ? one['options']['rate'] : undefined))
      say(rates.join() === '2000000', 'one bucket of 16 Mbit/s', () => stable(buckets(context)))
    }
  ),
  behaviour(['bandwidth', 'one-direction', 'MUST'], 'A limit of one direction makes one bucket.', (context, say) => {
    const one = { ...NO_LIMITS, egressRate: 8_000_000, egressBurst: 800_000 }
    context.mustAdd(context.attachment(), { config: one })
    const found = buckets(context)
    say(found.length === 1 && found[0]?.['dev'] !== 'judgehost', 'one, on a device of its own', () => stable(found))
  }),
  behaviour(
    ['bandwidth', 'burst', 'MUST'],
    'The burst is the size of the bucket; one that is too large is refused.',
    (context, say) => {
      context.mustAdd(context.attachment())
      const sizes = buckets(context).map(one => (isObject(one['options']) ? Number(one['options']['burst']) : 0))
      say(
        sizes.every(size => Math.abs(size - 100_000) < 1000),
        '100,000 bytes',
        () => sizes.join()
      )
      const config = { ingressRate: 8_000_000, ingressBurst: 34_359_738_368 }
      const outcome = context.call('ADD', context.attachment(), { config })
      say(!succeeded(outcome), 'a burst of 4 GiB is refused', () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['bandwidth', 'ifb-goes', 'MUST'],
    'The device for the outgoing limit goes with the container.',
    (context, say) => {
      const attachment = context.attachment()
      const before = context.world.links().length
      context.mustAdd(attachment)
      const during = context.world.links().length
      context.must('DEL', attachment)
      const after = context.world.links().length
      say(
        during === before + 1 && after === before,
        `${before}, ${before + 1}, ${before} links`,
        () => `${before}, ${during}, ${after}`
      )
    }
  )
]

function rules(context: Context, attachment: Attachment): readonly JsonObject[] {
  return attachment.netns.inside(() => context.world.json('ip', '-j', 'rule', 'show'))
}

const SBR: readonly Behaviour[] = [
  behaviour(['sbr', 'table', 'SHOULD'], 'table is the routing table of the rules.', (context, say) => {
    const attachment = context.attachment()
    attachment.netns.inside(() =>
      context.world.run('ip', 'route', 'add', 'default', 'via', '10.88.0.1', 'table', '555')
    )
    context.mustAdd(attachment, { config: { table: 555 } })
    const rule = rules(context, attachment).find(one => one['src'] === '10.88.0.5')
    say(String(rule?.['table']) === '555', 'from 10.88.0.5 lookup 555', () => stable(rules(context, attachment)))
  }),
  behaviour(['sbr', 'v6', 'MUST'], 'IPv6 addresses have rules as well.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    const found = attachment.netns.inside(() => context.world.json('ip', '-j', '-6', 'rule', 'show'))
    say(
      found.some(one => one['src'] === 'fd88::5'),
      'from fd88::5',
      () => stable(found)
    )
  }),
  behaviour(
    ['sbr', 'source-hints', 'SHOULD'],
    'addSourceHints keeps the own network in the main table, with its source.',
    (context, say) => {
      const attachment = context.attachment()
      context.mustAdd(attachment, { config: { addSourceHints: true } })
      const found = attachment.netns.inside(() => context.world.json('ip', '-j', 'route', 'show', 'table', 'main'))
      const holds = found.some(one => one['dst'] === '10.88.0.0/24' && one['prefsrc'] === '10.88.0.5')
      say(holds, '10.88.0.0/24 src 10.88.0.5', () => stable(found))
    }
  ),
  behaviour(['sbr', 'gone', 'MUST'], 'DEL removes the rules.', (context, say) => {
    const attachment = context.attachment()
    const before = rules(context, attachment).length
    context.mustAdd(attachment)
    context.must('DEL', attachment)
    const left = rules(context, attachment)
    say(left.length === before, `${before} rules`, () => stable(left))
  }),
  behaviour(['sbr', 'no-gone-namespace', 'SHOULD'], 'DEL succeeds without a namespace.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    const outcome = context.call('DEL', attachment, { env: { CNI_NETNS: '' } })
    say(succeeded(outcome), 'DEL succeeds', () => describeOutcome(outcome))
  })
]

const VRF: readonly Behaviour[] = [
  behaviour(
    ['vrf', 'table', 'MUST'],
    'table is the routing table of the VRF; a free one when left out.',
    (context, say) => {
      const table = (config: JsonObject) => {
        const attachment = context.attachment()
        context.mustAdd(attachment, { config })
        const link = attachment.netns.inside(() => context.world.link('blue'))
        const info = link?.['linkinfo']
        const data = isObject(info) ? info['info_data'] : undefined
        return isObject(data) ? Number(data['table']) : 0
      }
      const fixed = table({ table: 1001 })
      const free = table({})
      say(fixed === 1001 && free > 0, '1001, then any', () => `${fixed}, then ${free}`)
    }
  ),
  behaviour(['vrf', 'addresses-stay', 'MUST'], 'The IPv6 addresses survive the move into the VRF.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    const held = attachment.netns.inside(() => context.world.addresses('eth0'))
    say(held.includes('10.88.0.5/24') && held.includes('fd88::5/64'), '10.88.0.5/24, fd88::5/64', () => held.join())
  }),
  behaviour(['vrf', 'goes-with-last', 'MUST'], 'An empty VRF is removed by DEL.', (context, say) => {
    const attachment = context.attachment()
    context.mustAdd(attachment)
    context.must('DEL', attachment)
    const names = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
    say(!names.includes('blue'), 'no link blue', () => names.join())
  }),
  behaviour(['vrf', 'needs-name', 'MUST'], 'Without vrfname ADD is refused.', (context, say) => {
    const outcome = context.call('ADD', context.attachment(), { config: { vrfname: undefined } })
    say(!succeeded(outcome), 'ADD fails', () => describeOutcome(outcome))
  })
]

export const CHAINED_KEY_BEHAVIOURS: readonly Behaviour[] = [
  ...PORTMAP,
  ...FIREWALL,
  ...TUNING,
  ...BANDWIDTH,
  ...SBR,
  ...VRF,
  behaviour(['static', 'routes-and-dns', 'MUST'], 'routes and dns are in the result.', (context, say) => {
    const routes = [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.81.0.9' }]
    const dns = { nameservers: ['192.0.2.53'], domain: 'a.example', search: ['b.example'], options: ['rotate'] }
    const ipam = { type: 'static', addresses: [{ address: '10.81.0.1/24', gateway: '10.81.0.254' }], routes, dns }
    const result = context.mustAdd(context.attachment(), { config: { ipam } })
    say(stable(result['routes']) === stable(routes), stable(routes), () => stable(result['routes']))
    say(stable(result['dns']) === stable(dns), stable(dns), () => stable(result['dns']))
    const [ip] = objects(result['ips'])
    say(ip?.['gateway'] === '10.81.0.254', 'gateway 10.81.0.254', () => stable(ip ?? null))
  }),
  behaviour(
    ['host-local', 'route-attributes', 'SHOULD'],
    'mtu, advmss, priority, table and scope of routes are passed on.',
    (context, say) => {
      if (!context.supports('1.1.0')) return
      const routes = [
        { dst: '192.0.2.0/24', gw: '10.78.0.9', mtu: 1400, advmss: 1300, priority: 7, table: 99, scope: 0 }
      ]
      const ipam = { type: 'host-local', subnet: '10.78.0.0/24', routes }
      const result = context.mustAdd(context.attachment(), { config: { ipam }, version: '1.1.0' })
      say(stable(result['routes']) === stable(routes), stable(routes), () => stable(result['routes']))
    }
  )
]
