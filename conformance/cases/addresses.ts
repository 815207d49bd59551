/** host-local and static: which addresses they give, and what is on the disk. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { Netmask } from 'netmask'
import { type Behaviour, behaviour } from '../behaviour.ts'
import type { Context } from '../case.ts'
import { isObject, type JsonObject, stable } from '../json.ts'
import { describeOutcome, type Outcome, printed, succeeded } from '../plugin-call.ts'
import { addressesOf } from '../result-form.ts'

function hostLocal(keys: JsonObject): JsonObject {
  return { ipam: { type: 'host-local', ...keys } }
}

/** The addresses of n ADDs in a row. */
function take(context: Context, n: number, config: JsonObject, env: Record<string, string> = {}): readonly string[] {
  return Array.from({ length: n }, () => addressesOf(context.mustAdd(context.attachment(), { config, env })).join(' '))
}

function refused(context: Context, config: JsonObject, env: Record<string, string> = {}): Outcome {
  return context.call('ADD', context.attachment(), { config, env })
}

const POOL = '/var/lib/cni/networks/judgenet'

export const ADDRESS_BEHAVIOURS: readonly Behaviour[] = [
  behaviour(
    ['host-local', 'whole-subnet', 'MUST'],
    'Every usable address of a subnet but the gateway is given once, then ADD fails.',
    (context, say) => {
      const block = new Netmask('10.78.0.0/29')
      const usable: string[] = []
      block.forEach(address => {
        usable.push(`${address}/29`)
      })
      const wanted = usable.filter(address => address !== `${block.first}/29`)
      const got = take(context, wanted.length, hostLocal({ subnet: '10.78.0.0/29' }))
      say(stable([...got].sort()) === stable([...wanted].sort()), wanted.join(', '), () => got.join(', '))
      const more = refused(context, hostLocal({ subnet: '10.78.0.0/29' }))
      say(!succeeded(more), 'one more ADD fails', () => describeOutcome(more))
    }
  ),
  behaviour(
    ['host-local', 'range', 'MUST'],
    'rangeStart and rangeEnd bound the pool; the gateway is not given.',
    (context, say) => {
      const range = { subnet: '10.78.0.0/24', rangeStart: '10.78.0.10', rangeEnd: '10.78.0.12', gateway: '10.78.0.11' }
      const got = take(context, 2, hostLocal({ ranges: [[range]] }))
      say(got.join(' ') === '10.78.0.10/24 10.78.0.12/24', '.10 and .12', () => got.join(' '))
    }
  ),
  behaviour(['host-local', 'round-robin', 'MUST'], 'A released address is not given again at once.', (context, say) => {
    const config = hostLocal({ subnet: '10.78.0.0/24' })
    const first = context.attachment()
    const [one] = addressesOf(context.mustAdd(first, { config }))
    context.must('DEL', first, { config })
    const [two] = take(context, 1, config)
    say(one !== two, 'another address', () => `${one}, then ${two}`)
  }),
  behaviour(['host-local', 'two-families', 'MUST'], 'One address comes from each set of ranges.', (context, say) => {
    const [got] = take(context, 1, hostLocal({ ranges: [[{ subnet: '10.78.0.0/24' }], [{ subnet: 'fd78::/64' }]] }))
    say(got === '10.78.0.2/24 fd78::2/64', '10.78.0.2/24 fd78::2/64', () => String(got))
  }),
  behaviour(
    ['host-local', 'two-ranges', 'MUST'],
    'A second range of one set is used when the first is full.',
    (context, say) => {
      const ranges = [[{ subnet: '10.78.0.0/30' }, { subnet: '10.79.0.0/30' }]]
      const got = take(context, 2, hostLocal({ ranges }))
      say(got.join(' ') === '10.78.0.2/30 10.79.0.2/30', '10.78.0.2/30, then 10.79.0.2/30', () => got.join(' '))
    }
  ),
  behaviour(['host-local', 'routes', 'MUST'], 'routes of the configuration are in the result.', (context, say) => {
    const routes = [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.78.0.9' }]
    const result = context.mustAdd(context.attachment(), { config: hostLocal({ subnet: '10.78.0.0/24', routes }) })
    say(stable(result['routes']) === stable(routes), stable(routes), () => stable(result['routes']))
  }),
  behaviour(['host-local', 'resolv-conf', 'MUST'], "resolvConf is read into the result's dns.", (context, say) => {
    const path = `${context.world.folder}/resolv.conf`
    writeFileSync(
      path,
      '# comment\nnameserver 192.0.2.53\nsearch a.example b.example\ndomain c.example\noptions ndots:3 rotate\n'
    )
    const result = context.mustAdd(context.attachment(), {
      config: hostLocal({ subnet: '10.78.0.0/24', resolvConf: path })
    })
    const dns = isObject(result['dns']) ? result['dns'] : {}
    const wanted = {
      nameservers: ['192.0.2.53'],
      search: ['a.example', 'b.example'],
      domain: 'c.example',
      options: ['ndots:3', 'rotate']
    }
    say(stable(dns) === stable(wanted), stable(wanted), () => stable(dns))
  }),
  behaviour(
    ['host-local', 'asked-address', 'MUST'],
    'An address asked for by CNI_ARGS, args.cni.ips or runtimeConfig.ips is given, or refused when taken.',
    (context, say) => {
      const config = hostLocal({ subnet: '10.78.0.0/24' })
      const [byArgs] = take(context, 1, config, { CNI_ARGS: 'IgnoreUnknown=1;IP=10.78.0.77' })
      say(byArgs === '10.78.0.77/24', 'CNI_ARGS: 10.78.0.77', () => String(byArgs))
      const [byKey] = take(context, 1, { ...config, args: { cni: { ips: ['10.78.0.78'] } } })
      say(byKey === '10.78.0.78/24', 'args.cni.ips: 10.78.0.78', () => String(byKey))
      const [byRuntime] = take(context, 1, { ...config, runtimeConfig: { ips: ['10.78.0.79/24'] } })
      say(byRuntime === '10.78.0.79/24', 'runtimeConfig.ips: 10.78.0.79', () => String(byRuntime))
      for (const ip of ['10.78.0.77', '10.78.0.1', '10.99.0.1', 'nonsense']) {
        const outcome = refused(context, config, { CNI_ARGS: `IP=${ip}` })
        say(!succeeded(outcome), `asking for ${ip} fails`, () => describeOutcome(outcome))
      }
    }
  ),
  behaviour(
    ['host-local', 'runtime-ranges', 'MUST'],
    "runtimeConfig.ipRanges come before the configuration's own.",
    (context, say) => {
      const config = { ...hostLocal({}), runtimeConfig: { ipRanges: [[{ subnet: '10.80.0.0/24' }]] } }
      const [got] = take(context, 1, config)
      say(got === '10.80.0.2/24', '10.80.0.2/24', () => String(got))
    }
  ),
  behaviour(
    ['host-local', 'files', 'MUST'],
    'A lease is a file named by its address in dataDir/NETWORK, holding container ID and interface.',
    (context, say) => {
      const dataDir = `${context.world.folder}/leases`
      const attachment = context.attachment()
      context.mustAdd(attachment, { config: hostLocal({ subnet: '10.78.0.0/24', dataDir }) })
      const path = `${dataDir}/judgenet/10.78.0.2`
      const content = existsSync(path) ? readFileSync(path, 'utf8') : '(no file)'
      say(content === `${attachment.containerId}\r\neth0`, 'ID, CR LF, interface', () => JSON.stringify(content))
    }
  ),
  behaviour(
    ['host-local', 'old-files', 'MUST'],
    'Leases of older releases, which hold the ID alone, count and are released.',
    (context, say) => {
      const config = hostLocal({ subnet: '10.78.0.0/24' })
      context.mustAdd(context.attachment(), { config })
      const old = context.attachment()
      writeFileSync(`${POOL}/10.78.0.3`, old.containerId)
      const [got] = take(context, 1, config)
      say(got === '10.78.0.4/24', '10.78.0.3 is taken: 10.78.0.4', () => String(got))
      context.must('DEL', old, { config })
      say(!existsSync(`${POOL}/10.78.0.3`), 'DEL releases 10.78.0.3', () => 'it is still there')
    }
  ),
  behaviour(['host-local', 'bad-ranges', 'MUST'], 'Ranges that contradict themselves are refused.', (context, say) => {
    const bad: readonly JsonObject[] = [
      { ranges: [[{ subnet: '10.78.0.0/24', rangeStart: '10.79.0.1' }]] },
      { ranges: [[{ subnet: '10.78.0.0/24', rangeStart: '10.78.0.9', rangeEnd: '10.78.0.3' }]] },
      { ranges: [[{ subnet: '10.78.0.0/24' }, { subnet: '10.78.0.0/25' }]] },
      { ranges: [[{ subnet: '10.78.0.0/24' }, { subnet: 'fd78::/64' }]] },
      { ranges: [[{ subnet: '10.78.0.300/24' }]] },
      {}
    ]
    for (const keys of bad) {
      const outcome = refused(context, hostLocal(keys))
      say(!succeeded(outcome), `${stable(keys)} is refused`, () => describeOutcome(outcome))
    }
  }),
  behaviour(
    ['host-local', 'empty-file', 'SHOULD'],
    'An empty lease file, as a crash leaves it, does not take the address for ever.',
    (context, say) => {
      const config = hostLocal({ subnet: '10.78.0.0/30' })
      const first = context.attachment()
      context.mustAdd(first, { config })
      context.must('DEL', first, { config })
      writeFileSync(`${POOL}/10.78.0.2`, '')
      const outcome = refused(context, config)
      say(succeeded(outcome), 'ADD gets 10.78.0.2', () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['host-local', 'same-owner', 'SHOULD'],
    'The same container and interface asking again get their address again.',
    (context, say) => {
      const config = hostLocal({ subnet: '10.78.0.0/24' })
      const attachment = context.attachment()
      const [one] = addressesOf(context.mustAdd(attachment, { config }))
      const outcome = context.call('ADD', attachment, { config })
      const again = succeeded(outcome) ? addressesOf(printed(outcome) ?? {})[0] : undefined
      say(again === one, String(one), () => describeOutcome(outcome))
    }
  ),
  behaviour(
    ['host-local', 'small-subnets', 'SHOULD'],
    'Subnets of /31, /32, /127 and /128 give all their addresses.',
    (context, say) => {
      for (const [subnet, count] of [
        ['10.78.0.0/31', 2],
        ['10.78.9.9/32', 1],
        ['fd78::/127', 2],
        ['fd78:9::9/128', 1]
      ] as const) {
        const config = {
          ...hostLocal({ subnet }),
          name: `net-${subnet.replaceAll(/[^0-9a-f]/g, '-')}x`.replace(/^-/, 'n')
        }
        const got = Array.from({ length: count }, () => context.call('ADD', context.attachment(), { config }))
        const fine = got.filter(succeeded).length
        say(fine >= 1, `${subnet}: at least one address`, () =>
          describeOutcome(got[0] ?? context.call('VERSION', context.attachment()))
        )
      }
    }
  ),
  behaviour(
    ['host-local', 'check-compares', 'SHOULD'],
    'CHECK fails when the lease is for another address than prevResult says.',
    (context, say) => {
      const config = hostLocal({ subnet: '10.78.0.0/24' })
      const attachment = context.attachment()
      const result = context.mustAdd(attachment, { config })
      const other: unknown = JSON.parse(JSON.stringify(result).replaceAll('10.78.0.2/24', '10.78.0.99/24'))
      const outcome = context.call('CHECK', attachment, { config, prevResult: isObject(other) ? other : {} })
      say(!succeeded(outcome), 'CHECK fails', () => describeOutcome(outcome))
    }
  ),
  behaviour(['host-local', 'private-files', 'MUST'], 'Lease files are for root alone to write.', (context, say) => {
    context.mustAdd(context.attachment(), { config: hostLocal({ subnet: '10.78.0.0/24' }) })
    const mode = (statSync(`${POOL}/10.78.0.2`).mode & 0o777).toString(8)
    say((Number.parseInt(mode, 8) & 0o022) === 0, 'no write permission for others', () => mode)
  }),
  behaviour(
    ['static', 'sources', 'MUST'],
    "Addresses of runtimeConfig beat those of args.cni, those of CNI_ARGS, and the configuration's.",
    (context, say) => {
      const ipam = { type: 'static', addresses: [{ address: '10.81.0.1/24', gateway: '10.81.0.254' }] }
      const env = { CNI_ARGS: 'IgnoreUnknown=1;IP=10.81.0.2/24;GATEWAY=10.81.0.253' }
      const args = { cni: { ips: ['10.81.0.3/24'] } }
      const runtimeConfig = { ips: ['10.81.0.4/24'] }
      const [own] = take(context, 1, { ipam })
      say(own === '10.81.0.1/24', "the configuration's own", () => String(own))
      const [byArgs] = take(context, 1, { ipam: { type: 'static' } }, env)
      say(byArgs === '10.81.0.2/24', 'CNI_ARGS', () => String(byArgs))
      const [byKey] = take(context, 1, { ipam: { type: 'static' }, args }, env)
      say(byKey === '10.81.0.3/24', 'args.cni.ips', () => String(byKey))
      const [byRuntime] = take(context, 1, { ipam: { type: 'static' }, args, runtimeConfig }, env)
      say(byRuntime === '10.81.0.4/24', 'runtimeConfig.ips', () => String(byRuntime))
    }
  ),
  behaviour(
    ['static', 'bad-address', 'MUST'],
    'An address without prefix, or none at all, is refused.',
    (context, say) => {
      for (const addresses of [[{ address: '10.81.0.1' }], [{ address: 'nonsense/24' }], [{}]]) {
        const outcome = refused(context, { ipam: { type: 'static', addresses } })
        say(!succeeded(outcome), `${stable(addresses)} is refused`, () => describeOutcome(outcome))
      }
    }
  )
]
