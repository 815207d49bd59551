/** The agent that answers containers' questions, as it is started on a host of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './command.ts'
import { ROOT, SCRATCH } from './host.ts'

const SOCKET = '/run/patchbay/agent.sock'
const READY_MS = 20_000

/** A mount of ctr's: the container's resolv.conf, as nerdctl writes it for `--dns`. */
export function resolvConfMount(server: string): string {
  const path = join(SCRATCH, 'resolv.conf')
  writeFileSync(path, `nameserver ${server}\noptions timeout:2 attempts:2\n`)
  return `type=bind,src=${path},dst=/etc/resolv.conf,options=rbind:ro`
}

/** Runs `body` while an agent without configuration runs on this host. */
export async function withAgent(body: () => unknown): Promise<void> {
  const path = join(SCRATCH, 'agent.log')
  const log = openSync(path, 'a')
  const agent = spawn(join(ROOT, 'dist', 'node', 'patchbay'), ['agent'], { stdio: ['ignore', log, log] })
  try {
    await until('the agent', READY_MS, () => {
      if (agent.exitCode !== null) throw new Error(`the agent ended: ${readFileSync(path, 'utf8')}`)
      return existsSync(SOCKET) ? true : undefined
    })
    await body()
  } finally {
    await stop(agent)
    // Its own notes outlive it on purpose.
    rmSync('/run/patchbay/agent', { recursive: true, force: true })
    rmSync('/var/lib/patchbay', { recursive: true, force: true })
  }
}

async function stop(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null) return
  const ended = new Promise(resolve => agent.once('exit', resolve))
  agent.kill('SIGTERM')
  await ended
}
