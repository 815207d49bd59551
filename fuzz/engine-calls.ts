/**
 * Calls of plugins made at random, answered by an executable and by the same source in this process: standard output, standard
 * error, exit status and the files left behind are the same to the byte, or one of the two is wrong.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { type Answer, callPlugin } from '../lib/testing/blackbox.ts'
import { callEnv, callInMemory } from '../lib/testing/memory-io.ts'
import { mutated, Random } from '../lib/testing/mutation.ts'
import { allPlugins } from '../plugins/registry.ts'
import { type Finding, found } from './findings.ts'
import { law } from './target.ts'

/** The name of the executables' comparison among the targets. */
export const ENGINE_TARGET = 'engines'

/** After so many calls, both data directories are emptied. */
const ROUND = 30

const NAMES = ['host-local', 'host-local', 'static', 'bridge', 'loopback']
const VERBS = ['ADD', 'ADD', 'ADD', 'DEL', 'CHECK', 'CHECK', 'STATUS', 'GC', 'VERSION']
const VERSIONS = ['1.1.0', '1.1.0', '1.1.0', '1.0.0', '0.4.0', '0.3.1', '0.3.0', '0.2.0', '0.1.0']
const ARGUMENTS = [
  ...[
    '',
    '',
    '',
    'IgnoreUnknown=1;K8S_POD_NAME=x',
    'IP=10.1.2.7',
    'IP=10.1.2.7/24;GATEWAY=10.1.2.1',
    'FOO=bar',
    'IP=1=2'
  ],
  ...['IgnoreUnknown=TRUE;FOO=\u00e4', 'IP', ';;', 'IP=10.1.2.7,fd00::7', 'MAC=\u{1f600}', 'IgnoreUnknown=\u017f']
]
const PLACEHOLDER = '/the/data/directory'

function ipamOf(plugin: string): object {
  if (plugin === 'static') {
    return { type: 'static', addresses: [{ address: '10.1.2.2/24', gateway: '10.1.2.1' }, { address: 'fd00::2/64' }] }
  }
  const ranges = [
    [{ subnet: '10.1.2.0/24', rangeStart: '10.1.2.5', rangeEnd: '10.1.2.20', gateway: '10.1.2.1' }],
    [{ subnet: 'fd00::/64', exclude: ['fd00::2', 'fd00::10-fd00::20'] }]
  ]
  const routes = [{ dst: '0.0.0.0/0' }, { dst: 'fd01::/16', gw: 'fd00::1', mtu: 1400, priority: 5 }]
  return { type: 'host-local', dataDir: PLACEHOLDER, ranges, routes }
}

function configOf(plugin: string, verb: string, random: Random): object {
  const cniVersion = random.pick(VERSIONS)
  const interfaces = [{ name: 'cni0' }, { name: 'veth1' }, { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/x' }]
  const ips = [{ interface: 2, address: '10.1.2.2/24', gateway: '10.1.2.1' }, { address: 'fd00::2/64' }]
  const prevResult = { cniVersion, interfaces, ips, routes: [{ dst: '0.0.0.0/0', table: 100 }], dns: { search: ['y'] } }
  const runtimeConfig = random.pick([
    {},
    { ips: ['10.1.2.7/24'], mac: '02:00:00:00:00:09' },
    { ipRanges: [{ Subnet: '10.9.0.0/24', RangeStart: '', Gateway: '' }] }
  ])
  return {
    ...{ cniVersion, name: 'net', type: plugin, ipam: ipamOf(plugin), bridge: 'br7', isGateway: true, vlanTrunk: [] },
    ...{ stateDir: PLACEHOLDER, runtimeConfig, args: { cni: { ips: [] } }, dns: { nameservers: ['1.1.1.1'] } },
    ...(verb === 'CHECK' || verb === 'DEL' ? { prevResult } : {}),
    ...(verb === 'GC' ? { 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] } : {})
  }
}

/** What is in a directory, without the seal's times. */
function contentOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map(entry => {
      const path = join(entry.parentPath, entry.name)
      const text = entry.isFile() && entry.name !== 'seal' ? readFileSync(path, 'latin1') : ''
      return `${path.slice(directory.length)} ${text}`
    })
    .sort()
}

function inDirectory(stdin: string, directory: string): Uint8Array {
  return Buffer.from(stdin.replaceAll(PLACEHOLDER, directory), 'latin1')
}

/** One call. `stdin` has the bytes of JSON as latin1, so that a call can be written down as a line of text. */
interface Call {
  readonly plugin: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
}

/** Calls that follow each other, as they are kept among the findings: one a line. */
function callsIn(input: Uint8Array): readonly Call[] {
  const lines = Buffer.from(input).toString('utf8').split('\n')
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as Call)
}

/** What a call was answered with on both sides. */
interface Compared {
  readonly source: Answer
  readonly executable: Answer
}

/** A plugin directory beside the source. Needs /run and /var/lib of its own: a changed configuration may have lost its dataDir. */
export class EngineComparison {
  readonly #binDir: string
  readonly #random: Random
  readonly #plugins = allPlugins(new LinuxKernel()).map(({ make }) => make())
  readonly #root = mkdtempSync(join(tmpdir(), 'patchbay-differential-'))
  readonly #ours = join(this.#root, 'source')
  readonly #theirs = join(this.#root, 'binary')
  /** Those since the directories were emptied. */
  #round: Call[] = []

  constructor(binDir: string, seed: number) {
    this.#binDir = binDir
    this.#random = new Random(seed)
  }

  /** Makes a call and compares. @returns what is wrong, with all calls that led to it; the next call begins anew */
  next(): Finding | undefined {
    if (this.#round.length % ROUND === 0) this.#empty()
    const finding = this.#judged([this.#made()])
    if (finding !== undefined) this.#round = []
    return finding
  }

  /** Makes the calls of a finding again. @returns what is wrong still */
  replay(input: Uint8Array): Finding | undefined {
    this.#empty()
    return this.#judged(callsIn(input))
  }

  #judged(calls: readonly Call[]): Finding | undefined {
    const input = () => Buffer.from(this.#round.map(call => `${JSON.stringify(call)}\n`).join(''))
    return found(ENGINE_TARGET, input, () => {
      for (const call of calls) this.#compare(call)
    })
  }

  #empty(): void {
    this.#round = []
    rmSync(this.#root, { recursive: true })
    for (const directory of [this.#ours, this.#theirs]) mkdirSync(directory, { recursive: true })
  }

  #made(): Call {
    const random = this.#random
    const plugin = random.pick(NAMES)
    const verb = random.pick(VERBS)
    const stdin = mutated(configOf(plugin, verb, random), random.pick([0, 1, 1, 2, 3, 6]), random)
    const env = callEnv(verb, {
      CNI_CONTAINERID: random.pick(['c1', 'c1', 'c2', 'c3', 'x'.repeat(300), '\u00e4']),
      CNI_ARGS: random.pick(ARGUMENTS)
    })
    return { plugin, env, stdin: Buffer.from(stdin).toString('latin1') }
  }

  #compare(call: Call): void {
    this.#round.push(call)
    const { source, executable } = this.#answers(call)
    const what = `${call.plugin} ${JSON.stringify(call.env)} ${call.stdin}`
    for (const key of ['stdout', 'stderr'] as const) {
      const text = executable[key].replaceAll(this.#theirs, this.#ours)
      law(text === source[key], () => `${key} is ${text}\nthe source has ${source[key]}\n${what}`)
    }
    law(executable.status === source.status, () => `status ${executable.status}, not ${source.status}\n${what}`)
    const [left, right] = [contentOf(this.#theirs), contentOf(this.#ours)].map(names => names.join('\n'))
    law(left === right, () => `files are\n${left}\nthe source leaves\n${right}\n${what}`)
  }

  #answers({ plugin, env: variables, stdin }: Call): Compared {
    const ofSource = this.#plugins.find(one => one.name === plugin)
    if (ofSource === undefined) throw new Error('find a plugin: not in the registry')
    const env = { ...variables, CNI_PATH: this.#binDir }
    const memory = { env, stdin: inDirectory(stdin, this.#ours), builtins: this.#plugins }
    return {
      source: callInMemory(ofSource, { ...memory, executable: join(this.#binDir, plugin) }),
      executable: callPlugin(plugin, { env, stdin: inDirectory(stdin, this.#theirs), directory: this.#binDir })
    }
  }

  close(): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
}
