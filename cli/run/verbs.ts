/** `patchbay exec`, `logs`, `stop`, `kill`, `rm` and `port`: the containers that `patchbay run` started. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { inNamespace, openNetns } from '../../lib/sys/netns.ts'
import { inViewOf } from '../../lib/sys/sandbox.ts'
import type { Call } from '../call.ts'
import { Containers } from '../container.ts'
import { didYouMean } from '../nearest.ts'
import { CommandError, jsonLine, reportError, UsageError } from '../output.ts'
import { runtimeAt } from '../place.ts'
import { leaveNetworks, notStarted } from './keep.ts'
import { hostText } from './ports.ts'
import { portsOf } from './publish.ts'
import { type ContainerState, ContainerStore, isKept, isRunning } from './store.ts'

/** A container by its name, or the beginning of one. @throws CommandError, UsageError */
export function stateNamed(store: ContainerStore, word: string): ContainerState {
  const exact = store.find(word)
  if (exact !== undefined) return exact
  const all = store.list()
  const fitting = all.filter(one => one.name.startsWith(word))
  const [only, second] = fitting
  if (second !== undefined) {
    const names = fitting.map(one => one.name).join(' and ')
    throw new UsageError(`find container ${JSON.stringify(word)}: ${names} begin so`, 'write more of it')
  }
  if (only !== undefined) return only
  const near = didYouMean(
    word,
    all.map(one => one.name)
  )
  throw new CommandError(
    `find container ${JSON.stringify(word)}: patchbay run has started none of this name${near}`,
    'see: patchbay ps --all'
  )
}

/**
 * `exec CONTAINER COMMAND…`: in the network of a container; of one that `run` has started, with its files and host name, too.
 *
 * @returns the command's exit status
 */
export async function exec(call: Call): Promise<number> {
  const { cache } = runtimeAt(call.place, call.output)
  const { netns: path, containerId } = await new Containers(cache, call.runDir).living(call.word(0), undefined)
  const started = new ContainerStore(call.runDir).find(containerId)
  const pid = started !== undefined && isRunning(started) ? started.pid : undefined
  const [program = '', ...args] = call.words.slice(1)
  const env = { ...process.env, ...Object.fromEntries(call.texts('env').map(text => text.split(/=(.*)/s).slice(0, 2))) }
  const detached = call.has('detach')
  const options: SpawnOptions = { stdio: detached ? 'ignore' : 'inherit', env, cwd: call.text('workdir'), detached }
  const start = (): ChildProcess => spawn(program, args, options)
  const netns = openNetns(path)
  const child = inNamespace(netns, () => (pid === undefined ? start() : inViewOf(pid, start)))
  closeSync(netns)
  if (detached && child.pid !== undefined) {
    child.unref()
    return 0
  }
  return new Promise((resolve, reject) => {
    child.on('error', error => reject(notStarted(program, error)))
    child.on('exit', (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}

const NEWLINE = 0x0a

/** How often `logs -f` looks for more. */
const FOLLOW_MS = 200

/** `logs CONTAINER` */
export async function logs(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  const state = stateNamed(store, call.word(0))
  const tail = tailOf(call)
  let fd: number
  try {
    fd = openSync(store.logOf(state.name), 'r')
  } catch {
    throw new CommandError(
      `read the log of ${state.name}: it wrote to the terminal it was started on`,
      'run it with --detach'
    )
  }
  let place = tail === undefined ? 0 : startOfTail(readFileSync(fd), tail)
  const buffer = new Uint8Array(65_536)
  const decoder = new TextDecoder()
  const readAt = (): number => readSync(fd, buffer, { position: place })
  for (;;) {
    const wasRunning = isRunning(state)
    for (let count = readAt(); count > 0; count = readAt()) {
      place += count
      call.output.out(decoder.decode(buffer.subarray(0, count), { stream: true }))
    }
    if (!call.has('follow') || !wasRunning) return 0
    await pause(FOLLOW_MS)
  }
}

/** undefined for all lines */
function tailOf(call: Call): number | undefined {
  const text = call.text('tail') ?? 'all'
  if (text === 'all') return undefined
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new UsageError(`read --tail ${JSON.stringify(text)}: must be a number of lines, or all`)
}

/** @returns the place at which the last `lines` lines of `bytes` begin */
function startOfTail(bytes: Uint8Array, lines: number): number {
  const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length
  let place = lines === 0 ? bytes.length : end
  for (let count = 0; count < lines && place >= 0; count += 1) place = bytes.lastIndexOf(NEWLINE, place - 1)
  return lines === 0 ? place : place + 1
}

/** `kill CONTAINER…` */
export async function kill(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  const signal = signalOf(call.text('signal') ?? 'KILL')
  return each(call, 'signalled', async word => {
    const state = stateNamed(store, word)
    if (!isRunning(state)) throw new CommandError(`signal container ${JSON.stringify(state.name)}: it has ended`)
    if (!call.has('dry-run')) process.kill(state.pid, signal)
    return state.name
  })
}

/** @param text `HUP`, `SIGHUP` or `1` */
function signalOf(text: string): number {
  const known: Readonly<Record<string, number>> = constants.signals
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`
  const number = Object.values(known).includes(Number(text)) ? Number(text) : known[name]
  if (number !== undefined) return number
  throw new UsageError(
    `read --signal ${JSON.stringify(text)}: there is no such signal${didYouMean(name, Object.keys(known))}`
  )
}

/** How long it has to end by itself. @throws UsageError */
export function secondsOf(call: Call): number {
  const seconds = Number(call.text('time') ?? '10')
  if (!(seconds >= 0 && seconds <= 86_400)) throw new UsageError('read --time: must be a number of seconds')
  return seconds
}

/** `stop CONTAINER…` */
export async function stop(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  const seconds = secondsOf(call)
  return each(call, 'stopped', async word => {
    const state = stateNamed(store, word)
    if (!call.has('dry-run')) await end(call, store, state, seconds)
    return state.name
  })
}

/** `rm CONTAINER…` */
export async function remove(call: Call): Promise<number> {
  const store = new ContainerStore(call.runDir)
  return each(call, 'removed', async word => {
    const state = stateNamed(store, word)
    if (isRunning(state) && !call.has('force')) {
      throw new CommandError(`remove container ${JSON.stringify(state.name)}: it is running`, 'stop it, or add --force')
    }
    if (call.has('dry-run')) return state.name
    await end(call, store, state, 0)
    store.remove(state.name)
    return state.name
  })
}

/** Goes on after a failure, and fails in the end. */
export async function each(call: Call, what: string, work: (word: string) => Promise<string>): Promise<number> {
  const done: string[] = []
  for (const word of call.words) {
    try {
      done.push(await work(word))
      const would = call.has('dry-run') ? `would be ${what}: ` : ''
      if (!call.asJson) call.output.out(`${would}${done.at(-1) ?? ''}\n`)
    } catch (error) {
      reportError(call.output, error, call.asJson)
    }
  }
  if (call.asJson) call.output.out(jsonLine({ [what]: done }))
  return done.length === call.words.length ? 0 : 1
}

/** Ends its first process, by force after some seconds, and waits until what keeps it has taken its networks down. */
export async function end(call: Call, store: ContainerStore, state: ContainerState, seconds: number): Promise<void> {
  if (isRunning(state)) process.kill(state.pid, seconds > 0 ? 'SIGTERM' : 'SIGKILL')
  const deadline = Date.now() + seconds * 1000
  while (isRunning(state)) {
    if (seconds > 0 && Date.now() > deadline) process.kill(state.pid, 'SIGKILL')
    await pause(20)
  }
  for (let now = store.find(state.name); now !== undefined && isKept(now); now = store.find(state.name)) await pause(20)
  // Nothing is left to do but after a kill of what kept it.
  await leaveNetworks({ name: state.name, place: call.place }, call.output)
}

/** `port CONTAINER [PORT[/PROTOCOL]]`, of any container, whichever runtime has attached it. */
export async function port(call: Call): Promise<number> {
  const { cache } = runtimeAt(call.place, call.output)
  const { containerId } = await new Containers(cache, call.runDir).find(call.word(0), undefined)
  const asked = call.words[1]
  const wanted = asked === undefined || asked.includes('/') ? asked : `${asked}/tcp`
  const ports = cache
    .list()
    .filter(one => one.containerId === containerId)
    .flatMap(portsOf)
    .filter(one => wanted === undefined || `${String(one.containerPort)}/${one.protocol}` === wanted)
  if (wanted !== undefined && ports.length === 0) {
    throw new CommandError(
      `find port ${wanted} of ${containerId}: it is not published`,
      `see: patchbay port ${call.word(0)}`
    )
  }
  if (call.asJson) call.output.out(jsonLine(ports))
  else {
    for (const one of ports) {
      const inside = `${String(one.containerPort)}/${one.protocol} -> `
      call.output.out(`${wanted === undefined ? inside : ''}${hostText(one)}\n`)
    }
  }
  return 0
}
