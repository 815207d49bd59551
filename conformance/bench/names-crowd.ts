/** An agent with a thousand containers: how long it takes to start, and what it holds. */
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill, type Prepared, prepare, spawn, wait } from '../libc.ts'
import { type Attachment, Chain, sum } from './chain.ts'
import { NamesHost, waitFor } from './names.ts'
import { BRIDGE_NEEDS, bridge, PATH, VERSION } from './networks.ts'
import { command, type Round, type Scenario, type Stage } from './scenario.ts'

const COUNT = 1000
const SIGKILL = 9
/** What the agent takes at its start is given back by then, ms. */
const REST_MS = 2000
/** Linux gives processors' time to programs in hundredths of a second (USER_HZ). */
const TICK_MS = 10

/** An agent that is started and killed again and again. */
class Restarted {
  readonly #program: Prepared
  readonly #socket: string
  #pid = 0

  constructor(names: NamesHost, stage: Stage) {
    const [taskset, ...args] = names.agent
    const nowhere = openSync('/dev/null', 'r+')
    this.#program = prepare(`/usr/bin/${taskset}`, args, { PATH }, [nowhere, nowhere, nowhere])
    this.#socket = names.socket
    stage.atEnd(() => this.kill())
  }

  /** Until whoever was there before is answered. @returns ms */
  start(): number {
    rmSync(this.#socket, { force: true })
    const began = performance.now()
    this.#pid = spawn(this.#program)
    waitFor('the agent', () => existsSync(this.#socket))
    return performance.now() - began
  }

  kill(): void {
    if (this.#pid === 0) return
    kill(this.#pid, SIGKILL)
    wait(this.#pid)
    this.#pid = 0
  }

  /** Resident memory, MB. */
  get megabytes(): number {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'))?.[1]) / 1024
  }

  /** ms of a processor so far. */
  get busy(): number {
    const fields = readFileSync(`/proc/${this.#pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  }
}

function rest(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** A container is answered: the first question of dnsperf is. */
function askIn(stage: Stage, names: NamesHost, index: number): void {
  const questions = join(names.directory, 'crowd')
  writeFileSync(questions, `bench-${COUNT - 1 - index} A\n`)
  const where = `--net=${stage.container(`c${index}`).path}`
  const said = command('nsenter', where, 'dnsperf', '-d', questions, '-n', '1', '-s', '127.0.0.11')
  if (!/NOERROR 1 \(100/.test(said)) throw new Error(`ask in container ${index}: ${said}`)
}

/** Names are written down by the plugin, while no agent is there. */
const CROWD: Scenario = {
  id: 'names-crowd',
  title: `an agent with ${COUNT} containers: ms, MB where it says so`,
  group: 'names',
  needs: [...BRIDGE_NEEDS, 'dns'],
  counted: false,
  slow: true,
  prepare: stage => {
    const names = new NamesHost(stage, false)
    const agent = new Restarted(names, stage)
    agent.start()
    rest(REST_MS)
    const alone = agent.megabytes
    agent.kill()
    rmSync(names.socket)
    const plugins = [bridge(stage), names.plugin]
    const chain = new Chain(stage.contestant.dir, { name: 'bench', cniVersion: VERSION, env: { PATH }, plugins })
    const attach = (index: number): number => {
      const attachment: Attachment = {
        containerId: `bench-${index}`,
        ifName: 'eth0',
        netns: stage.container(`c${index}`)
      }
      return sum(chain.add(attachment), [1])
    }
    for (let i = 0; i < COUNT; i += 1) attach(i)
    const first = agent.start()
    return (): Round => {
      agent.kill()
      const again = agent.start()
      for (const index of [0, COUNT - 1]) askIn(stage, names, index)
      rest(REST_MS)
      const memory = agent.megabytes - alone
      const busy = agent.busy
      rest(REST_MS)
      const idle = (1000 * (agent.busy - busy)) / REST_MS
      const joined = attach(COUNT)
      const attachment = { containerId: `bench-${COUNT}`, ifName: 'eth0', netns: stage.container(`c${COUNT}`) }
      chain.del(attachment)
      stage.forget(`c${COUNT}`)
      return {
        'first start until all are answered': first,
        'next start until all are answered': again,
        'MB beyond those of an agent alone': memory,
        'of each second while nobody asks': idle,
        'ADD of dns for one more': joined
      }
    }
  }
}

export const NAMES_CROWD: readonly Scenario[] = [CROWD]
