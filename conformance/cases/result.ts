/** Results: their form in every version, and whether they tell the truth. */
import { type Attachment, type Case, type Context, isInterfaceOf } from '../case.ts'
import { isObject, type JsonObject, objects, sameJson, stable } from '../json.ts'
import { isV6 } from '../result-form.ts'
import { atLeast, type Version } from '../versions.ts'

const NEW_INTERFACE_KEYS = ['mtu', 'socketPath', 'pciID']
const NEW_ROUTE_KEYS = ['mtu', 'advmss', 'priority', 'table', 'scope']

function judgeForm(context: Context, version: Version, result: JsonObject): void {
  const say = (clause: string, holds: boolean, expected: string) =>
    context.judge(clause, holds, `in ${version}: ${expected}`, () => stable(result))
  if (atLeast(version, '0.2.0')) say('result.version', result['cniVersion'] === version, `cniVersion is ${version}`)
  if (!atLeast(version, '0.3.0')) {
    const later = ['interfaces', 'ips', 'routes'].filter(key => key in result)
    say('result.form-legacy', later.length === 0, 'no key of later versions')
    const ip4 = result['ip4']
    say('result.form-legacy', !isObject(ip4) || typeof ip4['ip'] === 'string', 'ip4 holds ip')
    return
  }
  say('result.form-legacy', !('ip4' in result) && !('ip6' in result), 'neither ip4 nor ip6')
  for (const ip of objects(result['ips'])) {
    const wanted = atLeast(version, '1.0.0') ? undefined : isV6(String(ip['address'])) ? '6' : '4'
    say('result.form-ip-version', ip['version'] === wanted, `${ip['address']} has version ${wanted}`)
  }
  if (atLeast(version, '1.1.0')) return
  const early = [
    ...objects(result['interfaces']).flatMap(one => NEW_INTERFACE_KEYS.filter(key => key in one)),
    ...objects(result['routes']).flatMap(one => NEW_ROUTE_KEYS.filter(key => key in one))
  ]
  say('result.form-newest', early.length === 0, `none of ${NEW_INTERFACE_KEYS} and ${NEW_ROUTE_KEYS}`)
}

/** The entry of the container's interface. */
function ownEntry(result: JsonObject, attachment: Attachment): JsonObject | undefined {
  return objects(result['interfaces']).find(one => isInterfaceOf(one, attachment))
}

export const RESULT_CASES: readonly Case[] = [
  {
    id: 'result-forms',
    title: 'the form of results in every version',
    part: 'protocol',
    clauses: ['result.version', 'result.form-legacy', 'result.form-ip-version', 'result.form-newest'],
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
    clauses: ['result.interface', 'result.host-interface', 'result.mac', 'result.mtu'],
    roles: ['interface', 'loopback'],
    since: '0.3.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      const own = ownEntry(result, attachment)
      const expected = `an interface ${attachment.ifName} with sandbox ${attachment.netns.path}`
      context.judge('result.interface', own !== undefined, expected, () => stable(result['interfaces']))
      for (const entry of objects(result['interfaces'])) {
        const sandbox = entry['sandbox']
        const inside = sandbox === attachment.netns.path
        const name = String(entry['name'])
        const look = () => context.world.link(name)
        const link = inside ? attachment.netns.inside(look) : look()
        const where = inside ? 'in the container' : 'on the host'
        const honest = link !== undefined && (inside || sandbox === undefined || sandbox === '')
        context.judge('result.host-interface', honest, `${name} is ${where} and says so`, () => stable(entry))
        if (link === undefined) continue
        const mac = link['address']
        context.judge('result.mac', entry['mac'] === mac, `${name} has mac ${mac}`, () => stable(entry))
        if (!context.supports('1.1.0')) continue
        context.judge('result.mtu', entry['mtu'] === link['mtu'], `${name} has mtu ${link['mtu']}`, () => stable(entry))
      }
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
        const holds = target !== undefined && isInterfaceOf(target, attachment)
        context.judge('result.ip-index', holds, `${ip['address']} leads to ${attachment.ifName}`, () => stable(result))
      }
      for (const { address, gateway } of attachment.parts.ips) {
        const found = ips.find(ip => ip['address'] === address)
        const holds = found !== undefined && found['gateway'] === gateway
        context.judge('result.addresses', holds, `${address} with gateway ${gateway}`, () => stable(ips))
      }
      const routes = objects(result['routes'])
      for (const { dst, gw } of attachment.parts.routes) {
        const holds = routes.some(route => route['dst'] === dst && (gw === undefined || route['gw'] === gw))
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
        const result = context.mustAdd(attachment, { version })
        for (const key of ['interfaces', 'ips', 'routes']) {
          const kept = objects(before?.[key]).every(one => objects(result[key]).some(other => includes(other, one)))
          context.judge('result.prev', kept, `in ${version}: ${key} as before`, () => stable(result[key]))
        }
        const dns = result['dns']
        context.judge('result.prev', sameJson(dns, attachment.parts.dns), 'dns as before', () => stable(dns))
        context.call('DEL', attachment, { version })
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

/** Whether every key of `part` is in `whole` with the same value; a changed MAC or MTU is the plugin's own work. */
function includes(whole: JsonObject, part: JsonObject): boolean {
  return Object.entries(part).every(([key, value]) => key === 'mac' || key === 'mtu' || sameJson(whole[key], value))
}
