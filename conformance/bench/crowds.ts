/** Scenarios that show how cost grows with what is there already: ports, routes, rules, hosts, and garbage. */
import { writeFileSync } from 'node:fs'
import { SCRATCH } from '../sandbox.ts'
import { type Attachment, Chain, ChainFailure, type JsonObject, sum } from './chain.ts'
import { outputOf, run, runTogether } from './measure.ts'
import { BRIDGE_NEEDS, bridge, hostLocal, PATH, STATUS_VERSION, VERSION, vxlan } from './networks.ts'
import { command, type Round, type Scenario, type Stage } from './scenario.ts'

const COUNTS = [10, 100, 1000]
const OPTIONS = { name: 'bench', cniVersion: VERSION, env: { PATH } }

function attachmentOf(stage: Stage, ifName = 'eth0'): Attachment {
  return { containerId: 'bench-c1', ifName, netns: stage.container('c1') }
}

function linesOf(count: number, lineOf: (index: number) => string): string {
  return `${Array.from({ length: count }, (_none, index) => lineOf(index)).join('\n')}\n`
}

/** An address of a block of 65,536. */
function addressIn(block: string, index: number): string {
  return `${block}.${index >> 8}.${index & 255}`
}

/** What a file of so many lines makes of the host before the first round. */
interface Crowd {
  readonly group: string
  readonly title: (count: number) => string
  readonly plugin: (stage: Stage, count: number) => JsonObject
  readonly needs: readonly string[]
  /** The command that reads the file, as its last argument. */
  readonly reader: readonly [string, ...string[]]
  readonly line: (index: number) => string
  readonly lastLine?: string
  readonly kind?: string
  /** What so many lines of `bridge fdb show` have in them while a container is there. */
  readonly forwarded?: string
}

const CROWDS: readonly Crowd[] = [
  {
    group: 'ports',
    title: count => `bridge + host-local, ${count} other ports of the bridge`,
    plugin: stage => bridge(stage),
    needs: BRIDGE_NEEDS,
    reader: ['ip', '-batch'],
    line: index => `link add near${index} up master cni0 type veth peer name far${index}`
  },
  {
    group: 'routes',
    title: count => `bridge + host-local, ${count} other routes of the host`,
    plugin: stage => bridge(stage),
    needs: BRIDGE_NEEDS,
    reader: ['ip', '-batch'],
    line: index => `route add ${addressIn('198.18', index)}/32 dev uplink`
  },
  {
    group: 'rules',
    title: count => `bridge with ipMasq, ${count} iptables rules of others`,
    plugin: stage => bridge(stage, { ipMasq: true }),
    needs: BRIDGE_NEEDS,
    reader: ['iptables-restore', '--noflush'],
    line: index => `${index === 0 ? '*nat\n' : ''}-A POSTROUTING -s ${addressIn('198.18', index)}/32 -j ACCEPT`,
    lastLine: 'COMMIT\n'
  },
  {
    group: 'hosts',
    title: count => `vxlan, ${count} other hosts of the overlay`,
    plugin: (stage, count) =>
      vxlan(stage, { peers: Array.from({ length: count }, (_none, index) => addressIn('198.18', index + 1)) }),
    needs: ['vxlan', 'host-local'],
    reader: ['true'],
    line: () => '',
    kind: 'vxlan',
    forwarded: 'dev vx42 dst 198.18.'
  }
]

function among(crowd: Crowd, count: number): Scenario {
  const { group, title, plugin, needs, reader, line, lastLine, kind, forwarded } = crowd
  const prepare = (stage: Stage) => {
    const chain = new Chain(stage.contestant.dir, { ...OPTIONS, plugins: [plugin(stage, count)] })
    const attachment = attachmentOf(stage)
    // What the first container brings about, such as the bridge, is no part of what is measured.
    chain.add(attachment)
    if (forwarded !== undefined) expectForwarded(forwarded, count)
    chain.del(attachment)
    const file = `${SCRATCH}/${stage.id}-${group}`
    writeFileSync(file, linesOf(count, line) + (lastLine ?? ''))
    const [program, ...args] = reader
    command(program, ...args, file)
    return (): Round => ({ ADD: sum(chain.add(attachment), [0]), DEL: sum(chain.del(attachment), [0]) })
  }
  const more = kind === undefined ? {} : { kind }
  return {
    id: `${group}-${count}`,
    title: title(count),
    group,
    needs,
    prepare,
    counted: false,
    slow: count > 100,
    ...more
  }
}

function expectForwarded(text: string, count: number): void {
  const seen = command('bridge', 'fdb', 'show').split(text).length - 1
  if (seen !== count) throw new ChainFailure(`ADD: ${seen} entries with ${JSON.stringify(text)} instead of ${count}`)
}

/** So many calls run at once while nobody measures. */
const AT_ONCE = 16

/** GC of attachments that no runtime knows any more, each an interface of one container. */
function garbage(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const { dir } = stage.contestant
    // A namespace has one default route: here it would be the first interface's.
    const plugin = bridge(stage, { ipam: { ...hostLocal(stage), routes: [] } })
    const chain = new Chain(dir, { ...OPTIONS, plugins: [plugin] })
    const collector = new Chain(dir, {
      ...OPTIONS,
      cniVersion: STATUS_VERSION,
      plugins: [{ ...plugin, 'cni.dev/valid-attachments': [] }]
    })
    const attachments = Array.from({ length: count }, (_none, index) => attachmentOf(stage, `eth${index}`))
    const nobody: Attachment = { containerId: '', ifName: '', netns: undefined }
    return (): Round => {
      for (let i = 0; i < count; i += AT_ONCE) addAll(chain, attachments.slice(i, i + AT_ONCE))
      const call = collector.call(0, 'GC', nobody, undefined)
      const { amount, status } = run(call)
      if (status !== 0) throw new ChainFailure(`GC: exit ${status}: ${outputOf(call)}`)
      const left = command('ip', '-o', 'link', 'show', 'master', 'cni0').split('\n').length - 1
      if (left > 0) throw new ChainFailure(`GC left ${left} interfaces`)
      return { GC: amount }
    }
  }
  const title = `bridge + host-local, GC of ${count} attachments`
  return {
    id: `gc-${count}`,
    title,
    group: 'gc',
    needs: BRIDGE_NEEDS,
    prepare,
    counted: false,
    slow: true,
    ...(count > 100 ? { fewRuns: 2 } : {}),
    onlyFor: 'native',
    whyOnly: 'has no GC, or takes minutes'
  }
}

/** A container's interfaces have names of their own, and so each call a file of its own. */
function addAll(chain: Chain, attachments: readonly Attachment[]): void {
  const calls = attachments.map(attachment => chain.call(0, 'ADD', attachment, undefined))
  const { status } = runTogether(calls)
  if (status !== 0) throw new ChainFailure(`ADD: ${calls.map(outputOf).find(text => text.includes('code'))}`)
}

export const AMONG_MANY: readonly Scenario[] = [
  ...CROWDS.flatMap(crowd => COUNTS.map(count => among(crowd, count))),
  ...COUNTS.map(garbage)
]
