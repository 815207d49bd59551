/** ADD: what has to be there afterwards, and what must not be there after a failure. */
import { canonical } from '../addresses-compared.ts'
import { type Attachment, type Case, type Context, hasLinkKind } from '../case.ts'
import { isObject, type JsonObject, objects, stable } from '../json.ts'
import { placeOf } from '../listed-interface.ts'
import { describeOutcome, printed, succeeded } from '../plugin-call.ts'
import { addressesOf } from '../result-form.ts'
import { openPaths } from '../traces.ts'
import { difference } from '../world.ts'

/** Judges that a failed ADD left host and container as they were. */
function judgeUnchanged(context: Context, attachment: Attachment, before: Picture, what: string): void {
  const after = picture(context, attachment)
  const host = difference(before.host, after.host)
  const inside = difference(before.container, after.container)
  const changed = [...host.added, ...host.removed, ...inside.added, ...inside.removed]
    // A bridge, a table or a chain for the whole network may stay; whatever is of this container may not.
    .filter(line => !isShared(line))
  context.judge('add.failure-clean', changed.length === 0, `${what}: nothing is left behind`, () => changed.join('; '))
}

export interface Picture {
  readonly host: readonly string[]
  readonly container: readonly string[]
}

export function picture(context: Context, attachment: Attachment): Picture {
  const container = attachment.netns.isRemoved() ? [] : attachment.netns.inside(() => context.world.networkLines())
  return { host: context.world.snapshot(), container }
}

/** Parameters that a plugin may set for as long as the host lives: that it forwards, and what goes with that. */
const FORWARDING = /^sysctl \S*(forward|redirects|route_localnet|bridge-nf-call)/

/** Lines of things that a plugin makes once for a network and may keep: its bridge, tables, chains, locks. */
export function isShared(line: string): boolean {
  return (
    /^link .*"kind":"(bridge|vxlan)"/.test(line) ||
    /^address judge0 /.test(line) ||
    /^fdb .*"ifname":"vx42"/.test(line) ||
    /^route .*"dev":"judge0"/.test(line) ||
    /^nft [^:]*$/.test(line) ||
    /^nft [^:]*: (type|policy) /.test(line) ||
    /^nft (?!.*judge-box)[^:]*: .*(jump|goto|accept|drop|return|mark|set)/.test(line) ||
    FORWARDING.test(line) ||
    isSharedFile(line)
  )
}

/** A daemon that serves a network, a set and chains that its rules are in: they name no container. */
export function isOfProgram(line: string): boolean {
  return /^(process|ipset create|ip6?tables-legacy-save) (?!.*(judge-box|10\.77\.|fd77))/.test(line)
}

/** A file to lock on that names nobody; there may be one for each of many. */
export function isLock(line: string): boolean {
  return /^file \S*lock/i.test(line) && line.endsWith(' []')
}

/** Files for a whole network: neither named after a container or an address, nor speaking of one. */
export function isSharedFile(line: string): boolean {
  if (!line.startsWith('file ')) return false
  return /last_reserved_ip\.[0-9]+/.test(line) || !/judge-box|[^0-9.]10\.77\.|fd77/.test(line)
}

/** The result's addresses but those that it says are outside the container. */
function addressesInside(result: JsonObject, attachment: Attachment): readonly string[] {
  const interfaces = objects(result['interfaces'])
  const outside = objects(result['ips'])
    .filter(({ interface: index }) => {
      const entry = typeof index === 'number' ? interfaces[index] : undefined
      return entry !== undefined && placeOf(entry, attachment) === 'host'
    })
    .map(ip => canonical(String(ip['address'])))
  return addressesOf(result).filter(address => !outside.includes(address))
}

/** @param held of the interface, as the kernel has them */
function judgeAllListed(context: Context, listed: readonly string[], held: readonly string[]): void {
  const bare = (address: string) => canonical(address).split('/')[0]
  const known = listed.map(bare)
  const untold = held.filter(address => !known.includes(bare(address)))
  context.judge('result.all-addresses', untold.length === 0, 'no address beside those of the result', () =>
    untold.join(', ')
  )
}

export const ADD_CASES: readonly Case[] = [
  {
    id: 'add-other-names',
    title: 'interface names of every form that the kernel takes',
    part: 'protocol',
    clauses: ['env.ifname-used'],
    roles: ['interface', 'meta'],
    when: ({ type }) => type !== 'host-device',
    run: context => {
      context.requireKernel()
      // The last has as many bytes as a name can have.
      for (const ifName of ['net1', 'a.b-c_0', 'judge-net-12345']) {
        const attachment = context.attachment({ ifName })
        // A plugin that cannot use the name may say so.
        if (!succeeded(context.call('ADD', attachment))) continue
        const names = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
        context.judge('env.ifname-used', names.includes(ifName), `an interface ${ifName}`, () => names.join(', '))
        context.call('DEL', attachment)
      }
      context.judge('env.ifname-used', true, '', () => '')
    }
  },
  {
    id: 'add-private-files',
    title: 'who can change what ADD writes',
    part: 'protocol',
    clauses: ['add.private-files'],
    roles: ['interface', 'meta', 'chained', 'ipam'],
    run: context => {
      const before = openPaths()
      context.mustAdd(context.attachment())
      const open = openPaths().filter(path => !before.includes(path))
      context.judge('add.private-files', open.length === 0, 'nothing that others may write', () => open.join('; '))
    }
  },
  {
    id: 'add-makes-the-interface',
    title: 'the interface is there, up, with its addresses and routes',
    part: 'protocol',
    clauses: ['add.creates', 'add.addresses', 'result.all-addresses', 'status.not-needed'],
    roles: ['interface', 'meta'],
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      const { link, addresses, routes } = attachment.netns.inside(() => ({
        link: context.world.link(attachment.ifName),
        addresses:
          context.world.link(attachment.ifName) === undefined ? [] : context.world.addresses(attachment.ifName),
        routes: context.world.routes()
      }))
      const up = Array.isArray(link?.['flags']) && link['flags'].includes('UP')
      context.judge('add.creates', up, `${attachment.ifName} is there and up`, () => stable(link ?? null))
      context.judge('status.not-needed', true, 'ADD without STATUS before it', () => '')
      for (const address of addressesInside(result, attachment)) {
        // ptp and others may narrow the prefix on the link; the address itself has to be there.
        const bare = canonical(address).split('/')[0]
        const holds = addresses.some(one => one.split('/')[0] === bare)
        context.judge('add.addresses', holds, `${address} is set`, () => addresses.join(', '))
      }
      judgeAllListed(context, addressesOf(result), addresses)
      for (const { dst, gw } of attachment.parts.routes) {
        const wanted = dst === '0.0.0.0/0' ? 'default' : dst
        const found = routes.filter(route => route['dst'] === wanted)
        const holds = gw === undefined ? found.length > 0 : found.some(route => route['gateway'] === gw)
        context.judge('add.addresses', holds, `a route to ${dst}${gw === undefined ? '' : ` by ${gw}`}`, () =>
          stable(routes)
        )
      }
    }
  },
  {
    id: 'add-name-taken',
    title: 'an interface of that name exists',
    part: 'protocol',
    clauses: ['add.exists', 'robust.foreign-link'],
    roles: ['interface', 'meta'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const kind = hasLinkKind(context.world, 'dummy') ? 'dummy' : 'bridge'
      attachment.netns.inside(() => context.world.run('ip', 'link', 'add', attachment.ifName, 'type', kind))
      const outcome = context.call('ADD', attachment)
      context.judgeOutcome('add.exists', !succeeded(outcome), 'ADD fails', outcome)
      const left = attachment.netns.inside(() => context.world.link(attachment.ifName))
      const info = left?.['linkinfo']
      const same = isObject(info) && info['info_kind'] === kind
      // The text asks for the error alone.
      context.judge('robust.foreign-link', same, `${attachment.ifName} is still the ${kind} it was`, () =>
        stable(left ?? null)
      )
    }
  },
  {
    id: 'add-two-interfaces',
    title: 'one container, two interfaces on one network',
    part: 'protocol',
    clauses: ['add.second-interface'],
    roles: ['interface'],
    // Two ends of one gateway cannot be on one host for some; the text does not ask for it.
    when: ({ type, oneGateway }) => type !== 'host-device' && oneGateway !== true,
    run: context => {
      const first = context.attachment()
      context.mustAdd(first)
      const second = withoutRoutes(
        context.attachment({ netns: first.netns, ifName: 'net1', containerId: first.containerId })
      )
      const outcome = context.call('ADD', second, {})
      context.judgeOutcome('add.second-interface', succeeded(outcome), 'ADD of net1 succeeds', outcome)
      const del = context.call('DEL', first)
      const names = first.netns.inside(() => context.world.links().map(link => link['ifname']))
      const holds = succeeded(del) && names.includes('net1') && !names.includes('eth0')
      context.judge(
        'add.second-interface',
        holds,
        'DEL of eth0 leaves net1',
        () => `${describeOutcome(del)}; ${names.join(', ')}`
      )
    }
  },
  {
    id: 'add-ipam-fails',
    title: 'IPAM refuses: nothing is left behind',
    part: 'protocol',
    clauses: ['delegate.error', 'delegate.error-kept', 'delegate.add-failed', 'add.failure-clean'],
    roles: ['interface'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const before = picture(context, attachment)
      const error = { cniVersion: context.newest(), code: 117, msg: 'the judge says no', details: 'by design' }
      context.ipam.forget()
      const outcome = failingAdd(context, attachment, JSON.stringify(error), 1)
      const asked = context.ipam.calls().map(({ verb }) => verb)
      const undone = asked.indexOf('DEL') > asked.indexOf('ADD')
      context.judge('delegate.add-failed', undone, 'IPAM is asked to ADD, then to DEL', () => asked.join(', '))
      context.judgeOutcome('delegate.error', !succeeded(outcome), 'ADD fails', outcome)
      const body = printed(outcome)
      const kept = body?.['code'] === 117 && String(body['msg']).includes('the judge says no')
      context.judgeOutcome('delegate.error-kept', kept, 'code 117 and `the judge says no`', outcome)
      judgeUnchanged(context, attachment, before, 'after a refusal of IPAM')
    }
  },
  {
    id: 'add-fails-late',
    title: 'a failure after IPAM succeeded: everything is undone and the address released',
    part: 'protocol',
    clauses: ['add.failure-clean', 'delegate.release'],
    roles: ['interface'],
    since: '0.3.0',
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const before = picture(context, attachment)
      context.ipam.forget()
      // The kernel refuses this route, however it is asked: its gateway is a multicast group.
      const routes = [{ dst: '10.99.0.0/16', gw: '224.0.0.9' }]
      const impossible = { ...attachment, parts: { ...attachment.parts, routes } }
      const outcome = context.call('ADD', impossible)
      context.judgeOutcome('add.failure-clean', !succeeded(outcome), 'ADD with an impossible route fails', outcome)
      if (succeeded(outcome)) return
      const asked = context.ipam.calls().map(({ verb }) => verb)
      context.judge('delegate.release', asked.includes('DEL'), 'IPAM is asked to DEL', () => asked.join(', '))
      judgeUnchanged(context, attachment, before, 'after a failure late in ADD')
    }
  },
  {
    id: 'add-needs-prev',
    title: 'a plugin for chains, alone',
    part: 'protocol',
    clauses: ['add.needs-prev'],
    roles: ['chained'],
    since: '0.3.0',
    when: ({ needsPrev }) => needsPrev === true,
    run: context => {
      const outcome = context.call('ADD', context.attachment(), { noPrevResult: true })
      context.judgeOutcome('add.needs-prev', !succeeded(outcome), 'ADD without prevResult fails', outcome)
    }
  },
  {
    id: 'add-loopback',
    title: 'lo comes up',
    part: 'protocol',
    clauses: ['add.creates'],
    roles: ['loopback'],
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const link = attachment.netns.inside(() => context.world.link('lo'))
      const up = Array.isArray(link?.['flags']) && link['flags'].includes('UP')
      context.judge('add.creates', up, 'lo is up', () => stable(objects(link?.['flags'])))
    }
  }
]

/** The kernel takes a default route once: an IPAM plugin that gives two to one container asks for what cannot be. */
export function withoutRoutes(attachment: Attachment): Attachment {
  return { ...attachment, parts: { ...attachment.parts, routes: [] } }
}

/** ADD with an IPAM plugin that answers this and exits so. */
function failingAdd(context: Context, attachment: Attachment, stdout: string, status: number) {
  return context.callWithAnswer('ADD', attachment, { stdout, status })
}
