/** Results: their form in every version, and whether they tell the truth. */
import { canonical, sameAddress } from '../addresses-compared.ts'
import { type Attachment, type Case, type Context, isInterfaceOf } from '../case.ts'
import { isObject, type JsonObject, objects, sameJson, stable } from '../json.ts'
import { linkOf, placeOf } from '../listed-interface.ts'
import { isV6 } from '../result-form.ts'
import { atLeast, type Version } from '../versions.ts'

const NEW_INTERFACE_KEYS = ['mtu', 'socketPath', 'pciID']
const NEW_ROUTE_KEYS = ['mtu', 'advmss', 'priority', 'table', 'scope']

/** Keys that a result of this version does not know. */
function strangeKeys(version: Version, result: JsonObject): readonly string[] {
  if (!atLeast(version, '0.3.0')) return ['interfaces', 'ips', 'routes'].filter(key => key in result)
  const legacy = ['ip4', 'ip6'].filter(key => key in result)
  const families = atLeast(version, '1.0.0')
    ? objects(result['ips'])
        .filter(ip => 'version' in ip)
        .map(() => 'version')
    : []
  if (atLeast(version, '1.1.0')) return [...legacy, ...families]
  const early = [
    ...objects(result['interfaces']).flatMap(one => NEW_INTERFACE_KEYS.filter(key => key in one)),
    ...objects(result['routes']).flatMap(one => NEW_ROUTE_KEYS.filter(key => key in one))
  ]
  return [...legacy, ...families, ...early]
}

/** Whether the addresses stand where this version has them; a result without any says nothing. */
function hasForm(version: Version, result: JsonObject): boolean {
  const ips = objects(result['ips'])
  if (!atLeast(version, '0.3.0')) {
    const held = [result['ip4'], result['ip6']].filter(isObject)
    return held.every(one => typeof one['ip'] === 'string') && (held.length > 0 || ips.length === 0)
  }
  const addressed = ips.every(ip => typeof ip['address'] === 'string')
  if (ips.length === 0) return !('ip4' in result)
  if (atLeast(version, '1.0.0')) return addressed
  return addressed && ips.every(ip => ip['version'] === (isV6(String(ip['address'])) ? '6' : '4'))
}

function judgeForm(context: Context, version: Version, result: JsonObject): void {
  const say = (clause: string, holds: boolean, expected: string) =>
    context.judge(clause, holds, `in ${version}: ${expected}`, () => stable(result))
  if (atLeast(version, '0.2.0')) say('result.version', result['cniVersion'] === version, `cniVersion is ${version}`)
  say('result.form', hasForm(version, result), 'addresses in the form of the version')
  const strange = strangeKeys(version, result)
  say('result.other-version', strange.length === 0, `no key of other versions (${strange.join(', ')})`)
}

/** Judges what one entry of `interfaces` says of the link that it means. */
function judgeListed(context: Context, attachment: Attachment, entry: JsonObject): void {
  const place = placeOf(entry, attachment)
  const name = String(entry['name'])
  if (place === 'elsewhere') {
    // A sandbox that leads nowhere from here is no lie by itself: it is one if the interface is the host's.
    const hosts = context.world.link(name)
    const isHosts = hosts !== undefined && String(entry['mac']).toLowerCase() === hosts['address']
    context.judge('result.host-interface', !isHosts, `${name} of the host has no sandbox`, () => stable(entry))
    return
  }
  const link = linkOf(context.world, entry, attachment)
  const where = place === 'host' ? 'on the host' : 'in the container'
  context.judge('result.host-interface', link !== undefined, `${name} is ${where} and says so`, () => stable(entry))
  if (link === undefined) return
  // "If applicable": a loopback or a tunnel has no hardware address.
  const hasMac = link['link_type'] === 'ether'
  const mac = typeof entry['mac'] === 'string' ? entry['mac'].toLowerCase() : ''
  const honest = mac === link['address'] || (!hasMac && mac === '')
  context.judge('result.mac', honest, `${name} has mac ${link['address']}`, () => stable(entry))
  if (!context.supports('1.1.0')) return
  const right = entry['mtu'] === link['mtu'] || (link['link_type'] === 'loopback' && entry['mtu'] === undefined)
  context.judge('result.mtu', right, `${name} has mtu ${link['mtu']}`, () => stable(entry))
}

/** Whether an address is the attachment's own, or one outside the container that the interface really has. */
function holdsAddress(context: Context, attachment: Attachment, entry: JsonObject, address: string): boolean {
  const place = placeOf(entry, attachment)
  if (place !== 'host') return place === 'container' && entry['name'] === attachment.ifName
  const name = String(entry['name'])
  if (context.world.link(name) === undefined) return false
  const bare = canonical(address).split('/')[0]
  return context.world.addresses(name).some(one => one.split('/')[0] === bare)
}

export const RESULT_CASES: readonly Case[] = [
  {
    id: 'result-forms',
    title: 'the form of results in every version',
    part: 'protocol',
    clauses: ['result.version', 'result.form', 'result.other-version'],
    run: context => {
      for (const version of context.versions()) {
        const attachment = context.attachment()
        // IPAM plugins and loopback have nothing to say in versions whose form needs more than they have.
        const result = context.mustAdd(attachment, { version })
        judgeForm(context, version, result)
        context.call('DEL', attachment, { version })
      }
    }
  },
  {
    id: 'result-interfaces',
    title: 'interfaces in the result are those that exist',
    part: 'protocol',
    clauses: ['result.interface', 'result.sandbox', 'result.host-interface', 'result.mac', 'result.mtu'],
    roles: ['interface', 'loopback'],
    since: '0.3.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      const listed = objects(result['interfaces'])
      const seen = () => stable(result['interfaces'] ?? null)
      const named = listed.filter(one => one['name'] === attachment.ifName)
      context.judge('result.interface', named.length > 0, `an interface ${attachment.ifName}`, seen)
      const expected = `${attachment.ifName} with sandbox ${attachment.netns.path}`
      const inBox = listed.some(one => isInterfaceOf(one, attachment))
      context.judge('result.sandbox', named.length === 0 || inBox, expected, seen)
      for (const entry of listed) judgeListed(context, attachment, entry)
    }
  },
  {
    id: 'result-host-interfaces',
    title: 'interfaces that an attachment makes beside the one asked for are in the result',
    part: 'protocol',
    clauses: ['result.all-interfaces'],
    roles: ['interface', 'meta', 'chained'],
    since: '0.3.0',
    when: ({ type }) => type !== 'host-device',
    run: context => {
      // What a network shares is there with the first container.
      context.mustAdd(context.attachment())
      const attachment = context.attachment()
      const namesIn = (look: () => readonly JsonObject[]) => look().map(link => link['ifname'])
      const onHost = () => namesIn(() => context.world.links())
      const inside = () => attachment.netns.inside(onHost)
      const before = [onHost(), inside()] as const
      const result = context.mustAdd(attachment)
      const listed = objects(result['interfaces']).map(one => one['name'])
      const seen = () => stable(result['interfaces'] ?? null)
      for (const name of onHost().filter(one => !before[0].includes(one)))
        context.judge('result.all-interfaces', listed.includes(name), `${name} of the host is listed`, seen)
      // Whether a device that a chained plugin puts above an interface, such as a VRF, is one is not said.
      const added = context.profile.role === 'chained' ? [] : inside().filter(one => !before[1].includes(one))
      for (const name of added.filter(one => one !== attachment.ifName))
        context.judge('result.all-interfaces', listed.includes(name), `${name} of the container is listed`, seen)
      context.judge('result.all-interfaces', true, '', () => '')
    }
  },
  {
    id: 'result-route-attributes',
    title: 'attributes of the routes that IPAM gave',
    part: 'protocol',
    clauses: ['result.route-attributes', 'add.route-attributes'],
    roles: ['interface'],
    since: '1.1.0',
    run: context => {
      const attachment = context.attachment()
      const attributes = { mtu: 1400, advmss: 1300, priority: 77, table: 4242, scope: 0 }
      const route = { dst: '10.99.0.0/16', gw: '10.77.0.1', ...attributes }
      const asked = { ...attachment, parts: { ...attachment.parts, routes: [route] } }
      const result = context.mustAdd(asked)
      const found = objects(result['routes']).find(one => one['dst'] === route.dst)
      const kept = found !== undefined && Object.entries(attributes).every(([key, value]) => found[key] === value)
      context.judge('result.route-attributes', kept, stable(route), () => stable(result['routes'] ?? null))
      const held = attachment.netns.inside(() => context.world.json('ip', '-j', '-d', 'route', 'show', 'table', '4242'))
      const set = held.find(one => one['dst'] === route.dst)
      const metrics = objects(set?.['metrics'])[0]
      const really = set?.['metric'] === 77 && metrics?.['mtu'] === 1400 && metrics?.['advmss'] === 1300
      context.judge('add.route-attributes', really, `in table 4242: ${stable(route)}`, () => stable(held))
    }
  },
  {
    id: 'result-addresses',
    title: 'addresses, routes and DNS settings in the result are those that IPAM gave',
    part: 'protocol',
    clauses: ['result.ip-index', 'result.addresses', 'result.routes', 'result.dns'],
    roles: ['interface'],
    since: '0.3.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      const interfaces = objects(result['interfaces'])
      const ips = objects(result['ips'])
      for (const ip of ips) {
        const index = ip['interface']
        const target = typeof index === 'number' ? interfaces[index] : undefined
        const holds = target !== undefined && holdsAddress(context, attachment, target, String(ip['address']))
        const expected = `${ip['address']} leads to ${attachment.ifName}, or to whatever has it outside the container`
        context.judge('result.ip-index', holds, expected, () => stable(result))
      }
      for (const { address, gateway } of attachment.parts.ips) {
        const found = ips.find(ip => sameAddress(ip['address'], address))
        const holds = found !== undefined && sameAddress(found['gateway'], gateway)
        context.judge('result.addresses', holds, `${address} with gateway ${gateway}`, () => stable(ips))
      }
      const routes = objects(result['routes'])
      for (const { dst, gw } of attachment.parts.routes) {
        const holds = routes.some(
          route => sameAddress(route['dst'], dst) && (gw === undefined || sameAddress(route['gw'], gw))
        )
        context.judge('result.routes', holds, `a route to ${dst}`, () => stable(routes))
      }
      const dns = result['dns']
      const same = isObject(dns) && Object.entries(attachment.parts.dns).every(([key, one]) => sameJson(dns[key], one))
      context.judge('result.dns', same, stable(attachment.parts.dns), () => stable(dns))
    }
  },
  {
    id: 'result-own-dns',
    title: 'DNS settings of the configuration beat those of IPAM',
    part: 'protocol',
    clauses: ['result.dns'],
    roles: ['interface'],
    since: '0.3.0',
    run: context => {
      const dns = { nameservers: ['192.0.2.53'], search: ['own.example'] }
      const result = context.mustAdd(context.attachment(), { config: { dns } })
      const found = result['dns']
      const holds = isObject(found) && sameJson(found['nameservers'], dns.nameservers)
      context.judge('result.dns', holds, `nameservers ${dns.nameservers}`, () => stable(found))
    }
  },
  {
    id: 'result-prev-passed-on',
    title: 'a plugin in the chain passes on what came before',
    part: 'protocol',
    clauses: ['result.prev'],
    roles: ['chained'],
    since: '0.3.0',
    run: context => {
      for (const version of context.versions().filter(one => atLeast(one, '0.3.0'))) {
        const attachment = context.attachment()
        const before = context.prevResult('ADD', attachment, version)
        const held = heldBy(context, attachment)
        const result = context.mustAdd(attachment, { version })
        judgePassedOn(context, before ?? {}, result, { version, undone: undoneSince(context, attachment, held) })
        context.call('DEL', attachment, { version })
      }
    }
  },
  {
    id: 'result-prev-of-interface',
    title: 'a plugin that makes an interface passes on what came before',
    part: 'protocol',
    clauses: ['result.prev'],
    roles: ['interface', 'loopback'],
    since: '0.3.0',
    run: context => {
      const attachment = context.attachment()
      const version = context.newest()
      // What a plugin leaves that makes nothing in the container, such as one that sets up a name server.
      const before = {
        cniVersion: version,
        interfaces: [{ name: 'uplink', mac: context.world.link('uplink')?.['address'] }],
        ips: [],
        routes: [],
        dns: { nameservers: ['192.0.2.53'] }
      }
      const result = context.mustAdd(attachment, { config: { prevResult: before } })
      judgePassedOn(context, before, result, { version, undone: () => false })
    }
  },
  {
    id: 'result-prev-newest',
    title: 'a plugin in the chain passes on what 1.1.0 added',
    part: 'protocol',
    clauses: ['result.prev-newest'],
    roles: ['chained'],
    since: '1.1.0',
    run: context => {
      const attachment = context.attachment()
      const usual = context.prevResult('ADD', attachment, '1.1.0') ?? {}
      const routes = [
        { dst: '0.0.0.0/0', gw: '10.88.0.1' },
        { dst: '10.99.0.0/16', gw: '10.88.0.1', mtu: 1400, advmss: 1300, priority: 7, table: 99, scope: 0 }
      ]
      const interfaces = objects(usual['interfaces']).map((one, index) => ({
        ...one,
        ...(index === 1 ? { mtu: 1500, socketPath: '/run/judge.sock', pciID: '0000:00:1f.6' } : {})
      }))
      const prevResult = { ...usual, interfaces, routes }
      const result = context.mustAdd(attachment, { version: '1.1.0', prevResult })
      // What the plugin changed else is for result.prev to say.
      for (const [key, wanted] of [
        ['interfaces', interfaces[1]],
        ['routes', routes[1]]
      ] as const) {
        const kept = wanted !== undefined && objects(result[key]).some(other => includes(other, wanted))
        context.judge('result.prev-newest', kept, `${key} with ${stable(wanted)}`, () => stable(result[key] ?? null))
      }
    }
  },
  {
    id: 'result-of-ipam',
    title: 'an IPAM plugin gives an abbreviated result',
    part: 'protocol',
    clauses: ['result.ipam'],
    roles: ['ipam'],
    since: '0.3.0',
    run: context => {
      const result = context.mustAdd(context.attachment())
      const noInterfaces = objects(result['interfaces']).length === 0
      context.judge('result.ipam', noInterfaces, 'no interfaces', () => stable(result))
      const noIndex = objects(result['ips']).every(ip => ip['interface'] === undefined)
      context.judge('result.ipam', noIndex, 'addresses without index', () => stable(result['ips']))
      const some = objects(result['ips']).length > 0
      context.judge('result.ipam', some, 'at least one address', () => stable(result))
    }
  }
]

/** Whether none of the DNS settings before is gone; a plugin may put its own in their place. */
function keepsDns(now: JsonObject, before: JsonObject): boolean {
  return Object.keys(before).every(key => {
    const own = now[key]
    return Array.isArray(own) ? own.length > 0 : own !== undefined && own !== ''
  })
}

/** Links, addresses and routes of the container, as words that entries of a result can be found by. */
interface Held {
  readonly links: readonly string[]
  readonly addresses: readonly string[]
  readonly routes: readonly string[]
}

function heldBy(context: Context, attachment: Attachment): Held {
  return attachment.netns.inside(() => {
    const links = context.world.links().map(link => String(link['ifname']))
    const addresses = links.flatMap(name => context.world.addresses(name))
    // A route that was moved to another table is another route.
    const routes = context.world.json('ip', '-j', 'route').concat(context.world.json('ip', '-j', '-6', 'route'))
    return { links, addresses, routes: routes.map(route => `${route['dst']} ${route['gateway']}`) }
  })
}

/** Says of an entry of a prevResult whether the plugin has really taken away what it stands for. */
type Undone = (key: string, entry: JsonObject) => boolean

function undoneSince(context: Context, attachment: Attachment, before: Held): Undone {
  const now = heldBy(context, attachment)
  const gone = (was: readonly string[], is: readonly string[], word: string) => was.includes(word) && !is.includes(word)
  return (key, entry) => {
    if (key === 'interfaces') return gone(before.links, now.links, String(entry['name']))
    if (key === 'ips') return gone(before.addresses, now.addresses, canonical(String(entry['address'])))
    const dst = /^(0\.0\.0\.0|::)\/0$/.test(String(entry['dst'])) ? 'default' : String(entry['dst'])
    return gone(before.routes, now.routes, `${dst} ${entry['gw']}`)
  }
}

/** Judges that a result holds what was in the prevResult, but for what the plugin has changed in truth. */
function judgePassedOn(
  context: Context,
  before: JsonObject,
  result: JsonObject,
  { version, undone }: { readonly version: Version; readonly undone: Undone }
): void {
  for (const key of ['interfaces', 'ips', 'routes']) {
    const kept = objects(before[key]).every(
      one => objects(result[key]).some(other => includes(other, one)) || undone(key, one)
    )
    context.judge('result.prev', kept, `in ${version}: ${key} as before`, () => stable(result[key]))
  }
  const dns = isObject(result['dns']) ? result['dns'] : {}
  const known = isObject(before['dns']) ? before['dns'] : {}
  const expected = `in ${version}: dns with all that was in it: ${stable(known)}`
  context.judge('result.prev', keepsDns(dns, known), expected, () => stable(result['dns']))
}

/** Whether every key of `part` is in `whole` with the same value; a MAC or MTU may have become another. */
function includes(whole: JsonObject, part: JsonObject): boolean {
  return Object.entries(part).every(([key, value]) => {
    const isOwnWork = (key === 'mac' || key === 'mtu') && typeof part['name'] === 'string'
    return isOwnWork ? key in whole : sameJson(whole[key], value)
  })
}
