/**
 * The host of the recording: own network, mounts, processes and name. The directories in which command, plugins and agent keep
 * what is theirs are its own too, so nothing of the machine is changed, and all of it ends with the first process in it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { mount } from '../../conformance/libc.ts'
import { sandboxCommand } from '../../conformance/sandbox.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import type { Line } from './story.ts'

const HOST = 'host1'
/** In the host's own /run. */
const NETWORKS = '/run/net.d'
const PROGRAMS = '/run/bin'
const SITE = '/run/site'
const AGENT_CONFIG = '/run/agent.json'
const AGENT_LOG = '/run/agent.log'
const AGENT_SOCKET = '/run/patchbay/agent.sock'
const PATIENCE_MS = 30_000

/** The command that starts a program on a host that `furnish` can furnish. A shell is its first process, and buries the dead. */
export function onOwnHost(args: readonly string[]): readonly string[] {
  return ['unshare', '--uts', '--', ...sandboxCommand(['sh', '-c', '"$@"; exit $?', 'sh', ...args])]
}

/** Makes the host; the first thing to do on it. */
export function furnish(): void {
  writeFileSync('/proc/sys/kernel/hostname', HOST)
  for (const folder of ['/run', '/var/lib']) mount('tmpfs', folder, { data: 'mode=755' })
  for (const folder of [NETWORKS, PROGRAMS, SITE]) mkdirSync(folder)
  writeFileSync(`${SITE}/index.html`, 'hello from web\n')
  const command = patchbayProgram().map(word => `'${word}'`)
  writeFileSync(`${PROGRAMS}/patchbay`, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`, { mode: 0o755 })
  spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'inherit' })
}

/** A shell's environment there, and of nowhere else. */
function environment(binDir: string): NodeJS.ProcessEnv {
  return {
    PATH: `${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`,
    LANG: 'C.UTF-8',
    NETCONFPATH: NETWORKS,
    CNI_PATH: binDir
  }
}

/** Starts the agent, which answers for names. Resolves when plugins can ask it. */
export async function startAgent(binDir: string): Promise<ChildProcess> {
  writeFileSync(AGENT_CONFIG, JSON.stringify({ confDir: NETWORKS }))
  const log = openSync(AGENT_LOG, 'a')
  const agent = spawn(`${PROGRAMS}/patchbay`, ['agent', '--config', AGENT_CONFIG], {
    env: environment(binDir),
    stdio: ['ignore', log, log]
  })
  await until('the agent answers', () => {
    if (agent.exitCode !== null) throw new Error(`the agent ended: ${readFileSync(AGENT_LOG, 'utf8')}`)
    return Promise.resolve(existsSync(AGENT_SOCKET))
  })
  return agent
}

/**
 * Runs a line as a shell does, both streams together as in a terminal.
 *
 * @returns what it said
 * @throws Error when it ends with another status than the story says
 */
export async function runLine({ typed, status = 0, opens }: Line, binDir: string): Promise<string> {
  const child = spawnSync('sh', ['-c', `exec 2>&1; ${typed}`], {
    encoding: 'utf8',
    cwd: SITE,
    env: environment(binDir)
  })
  if (child.status !== status) throw new Error(`record ${JSON.stringify(typed)}: exit ${child.status}: ${child.stdout}`)
  if (opens !== undefined) await until(`port ${opens} is answered`, () => isAnswered(opens))
  return child.stdout
}

function isAnswered(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`record: not within ${PATIENCE_MS / 1000} s: ${what}`)
    await pause(20)
  }
}
