/** What names cost: in a container's start, and in questions a second beside dnsmasq. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Chain, type JsonObject, sum } from './chain.ts'
import { BRIDGE_NEEDS, bridge, PATH, published, VERSION } from './networks.ts'
import { command, type Round, type Scenario, type Stage } from './scenario.ts'

export const COMMAND = join(import.meta.dirname, '..', '..', 'dist', 'node', 'patchbay')
const READY_MS = 20_000
/** Where plugins ask unless told otherwise; the directory is the stage's own. */
const SOCKET = '/run/patchbay/agent.sock'
const CONTAINERS = 20
/** Questions a second that latency is measured at. */
const RATE = 20_000
const SECONDS = 2
/** Where dnsmasq answers, in the same container as the agent does. */
const DNSMASQ = '127.0.0.53'
const RESOLVER = '127.0.0.11'

/** An agent of this host, on the first processor alone; ends with the stage. */
export class NamesHost {
  readonly directory: string
  readonly socket = SOCKET
  readonly #stage: Stage

  /** @param isStarted otherwise the agent is for `runAgent` to start */
  constructor(stage: Stage, isStarted = true) {
    this.#stage = stage
    this.directory = `/run/names-${stage.id}`
    for (const path of [this.directory, dirname(SOCKET)]) mkdirSync(path, { recursive: true })
    const { stateDir, confDir } = this
    const registryDir = join(this.directory, 'registry')
    writeFileSync(
      this.#config,
      JSON.stringify({ socket: SOCKET, stateDir: this.directory, registryDir, pluginStateDir: stateDir, confDir })
    )
    if (isStarted) {
      this.run(COMMAND, ['agent', '--config', this.#config])
      waitFor('the agent', () => existsSync(SOCKET))
    }
    stage.atEnd(() => rmSync(this.directory, { recursive: true, force: true }))
  }

  get #config(): string {
    return join(this.directory, 'agent.json')
  }

  /** How the agent is started by others. */
  get agent(): readonly [string, ...string[]] {
    return ['taskset', '-c', '0', COMMAND, 'agent', '--config', this.#config]
  }

  get stateDir(): string {
    return join(this.directory, 'state')
  }

  /** Where the agent looks for networks. */
  get confDir(): string {
    return join(this.directory, 'net.d')
  }

  get plugin(): JsonObject {
    return { type: 'dns', stateDir: this.stateDir, internal: true }
  }

  /** Runs a daemon for as long as the stage lasts. */
  run(program: string, args: readonly string[], enter: readonly string[] = []): ChildProcess {
    const [first = '', ...rest] = [...enter, 'taskset', '-c', '0', program, ...args]
    const daemon = spawn(first, rest, { stdio: 'ignore' })
    this.#stage.atEnd(() => daemon.kill('SIGKILL'))
    return daemon
  }
}

/** Nothing else runs here meanwhile: every step of the benchmark waits for the one before. */
export function waitFor(what: string, isThere: () => boolean): void {
  const deadline = Date.now() + READY_MS
  while (!isThere()) {
    if (Date.now() > deadline) throw new Error(`wait for ${what}: not within ${READY_MS} ms`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
}

/**
 * A whole container start of nerdctl's, with and without names, in turns on one host. One more plugin that does nothing tells what of
 * the difference is any fifth program's.
 */
const CHAIN_WITH_NAMES: Scenario = {
  id: 'names-chain',
  title: 'bridge ipMasq + portmap + firewall + tuning, with and without dns, in turns',
  group: 'names',
  needs: [...BRIDGE_NEEDS, 'portmap', 'firewall', 'tuning', 'dns'],
  counted: false,
  prepare: stage => {
    const { plugin } = new NamesHost(stage)
    const plain = [
      bridge(stage, { ipMasq: true, hairpinMode: true }),
      published([18080, 80]),
      { type: 'firewall', ingressPolicy: 'same-bridge' },
      { type: 'tuning' }
    ]
    const options = { name: 'bench', cniVersion: VERSION, env: { PATH } }
    const variants = [
      ['with names', [...plain, plugin]],
      ['without names', plain],
      ['without names, with one that does nothing', [...plain, { type: 'tuning' }]]
    ] as const
    const chains = variants.map(
      ([name, plugins]) => [name, new Chain(stage.contestant.dir, { ...options, plugins })] as const
    )
    let turn = 0
    return (): Round => {
      const round: Record<string, number> = {}
      turn += 1
      for (const [name, chain] of [...chains.slice(turn % 3), ...chains.slice(0, turn % 3)]) {
        const attachment = { containerId: 'bench-1', ifName: 'eth0', netns: stage.container('c1') }
        round[`ADD ${name}`] = sum(chain.add(attachment), chain.all)
        round[`DEL ${name}`] = sum(chain.del(attachment), chain.all)
        stage.forget('c1')
      }
      return round
    }
  }
}

/** Containers of a network, each with a name; the first one asks. @returns its namespace */
function namedContainers(stage: Stage, names: NamesHost): string {
  for (let i = 0; i < CONTAINERS; i += 1) {
    const chain = new Chain(stage.contestant.dir, {
      ...{ name: 'bench', cniVersion: VERSION, env: { PATH } },
      plugins: [bridge(stage), names.plugin],
      cniArgs: `IgnoreUnknown=1;K8S_POD_NAME=w${i}`
    })
    chain.add({ containerId: `bench-${i}`, ifName: 'eth0', netns: stage.container(`c${i}`) })
  }
  const hosts = Array.from({ length: CONTAINERS }, (_none, i) => `10.77.1.${i} w${i} w${i}.bench\n`)
  const questions = Array.from({ length: CONTAINERS }, (_none, i) => `w${i} A\nw${i}.bench A\nw${i} AAAA\n`)
  writeFileSync(join(names.directory, 'hosts'), hosts.join(''))
  writeFileSync(join(names.directory, 'questions'), `${questions.join('')}nobody.bench A\n`)
  return stage.container('c0').path
}

/** dnsperf in a container, on the second processor. What it says goes to a file: who reads a pipe disturbs it. */
class Judge {
  readonly #directory: string
  readonly #where: string

  constructor(directory: string, where: string) {
    this.#directory = directory
    this.#where = where
  }

  /** Questions a second that are answered while a hundred are under way. */
  rate(server: string): number {
    return Number(/Queries per second:\s+([\d.]+)/.exec(this.#dnsperf(server))?.[1])
  }

  /** ms at RATE, of the line for each answer: `> NOERROR w1 A 0.000123` */
  percentile99(server: string): number {
    const said = this.#dnsperf(server, '-v', '-Q', String(RATE))
    const seconds = [...said.matchAll(/^> .* ([\d.]+)$/gm)].map(match => Number(match[1])).sort((a, b) => a - b)
    return (seconds[Math.floor(seconds.length * 0.99)] ?? Number.NaN) * 1000
  }

  #dnsperf(server: string, ...more: readonly string[]): string {
    const [questions, said] = [join(this.#directory, 'questions'), join(this.#directory, 'said')]
    const script = 'said=$1; shift; exec "$@" >"$said" 2>&1'
    const pinned = ['taskset', '-c', '1', 'dnsperf', '-d', questions, '-s', server, '-l', String(SECONDS), '-c', '20']
    command('nsenter', `--net=${this.#where}`, 'sh', '-c', script, 'sh', said, ...pinned, ...more)
    return readFileSync(said, 'utf8')
  }
}

/** Own names by the agent and by dnsmasq, from one container, each on one processor, dnsperf on another. */
const QUESTIONS: Scenario = {
  id: 'names-questions',
  title: `own names of ${CONTAINERS} containers, agent and dnsmasq in turns`,
  group: 'names',
  needs: [...BRIDGE_NEEDS, 'dns'],
  counted: false,
  fewRuns: 3,
  onlyFor: 'native',
  whyOnly: 'has no names, or the same agent',
  prepare: stage => {
    const names = new NamesHost(stage)
    const where = namedContainers(stage, names)
    const enter = ['nsenter', `--net=${where}`]
    const dnsmasq = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--pid-file=']
    const its = [`--addn-hosts=${names.directory}/hosts`, `--listen-address=${DNSMASQ}`, '--bind-interfaces']
    names.run(
      'dnsmasq',
      [...dnsmasq, ...its, '--user=root', '--local-ttl=5', '--local=/bench/', '--cache-size=1000'],
      enter
    )
    const judge = new Judge(names.directory, where)
    waitFor('dnsmasq', () =>
      command(...(['nsenter', `--net=${where}`, 'ss', '-Hlun'] as const)).includes(`${DNSMASQ}:53`)
    )
    return (): Round => {
      const round: Record<string, number> = {}
      for (const [name, server] of [
        ['agent', RESOLVER],
        ['dnsmasq', DNSMASQ]
      ] as const) {
        // ms for a thousand of them: 50 are 20,000 a second.
        round[`1,000 questions, ${name}`] = 1e6 / judge.rate(server)
        round[`99 of 100 questions within, ${name}`] = judge.percentile99(server)
      }
      return round
    }
  }
}

export const NAMES: readonly Scenario[] = [CHAIN_WITH_NAMES, QUESTIONS]
