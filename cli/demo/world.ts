/**
 * A host and containers that are nothing but network namespaces. They hang on file descriptors of this process:
 * when it ends, however it ends, they are gone, and the machine's own network was never part of it.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { transformSync } from 'esbuild'
import { inNamespace, newNetns, ownNetns, unshareNetns } from '../../lib/sys/netns.ts'

/** The probe without its types: taken out at each of its many starts, they would cost more than all the rest. */
const PROBE = transformSync(readFileSync(new URL('./probe.ts', import.meta.url), 'utf8'), { loader: 'ts' }).code

/** What Node is started with for it. */
function probe(...args: readonly string[]): string[] {
  return ['--no-warnings', '--input-type=module', '--eval', PROBE, '--', ...args]
}

export interface Namespace {
  readonly fd: number
  /** A path by which other processes open it, as long as this one lives. */
  readonly path: string
}

/** Takes this process, and every program it starts from now on, into a network namespace of its own. */
export function becomeHost(): Namespace {
  unshareNetns()
  return namespaceOf(ownNetns())
}

export function makeNamespace(): Namespace {
  return namespaceOf(newNetns())
}

function namespaceOf(fd: number): Namespace {
  return { fd, path: `/proc/${process.pid}/fd/${fd}` }
}

/** A program's answer: its exit status and both streams. */
export interface Answer {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program on the host to its end. */
export function run(program: string, args: readonly string[]): Answer {
  const child = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.error) throw child.error
  return { status: child.status ?? 255, stdout: child.stdout, stderr: child.stderr }
}

/** A TCP server in a namespace that answers each connection with the address it came from. */
export interface Echo {
  readonly stop: () => void
}

export function startEcho(namespace: Namespace, port: number): Promise<Echo> {
  const child = inNamespace(namespace.fd, () =>
    spawn(process.execPath, probe('serve', String(port)), { stdio: ['ignore', 'pipe', 'inherit'] })
  )
  return new Promise((resolve, reject) => {
    child.once('exit', status => reject(new Error(`the probe's server ended with ${status}`)))
    child.stdout.once('data', () => resolve({ stop: () => child.kill('SIGKILL') }))
  })
}

/** What connections from a namespace saw: who they were to the other side, and how long one with its answer took (the median). */
export interface Reached {
  readonly seenAs: string
  readonly milliseconds: number
}

/** Connects from a namespace. @throws when there is no answer within two seconds */
export function connectFrom(namespace: Namespace, address: string, port: number): Reached {
  const answer = inNamespace(namespace.fd, () => run(process.execPath, probe('connect', address, String(port))))
  if (answer.status !== 0) throw new Error(`no answer from ${address} port ${port}: ${answer.stderr.trim()}`)
  return JSON.parse(answer.stdout) as Reached
}
