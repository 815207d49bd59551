/** Names in the demo: an agent of its own, and containers that ask for each other. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { type Namespace, run } from './world.ts'

const LONGEST_START_MS = 20_000

/** Asks as a program in the container does. */
const LOOKUP = `
const resolver = new (require('node:dns').promises.Resolver)()
resolver.setServers(['127.0.0.11'])
resolver.resolve4(process.argv[1]).then(found => console.log(found.join(' ')), error => console.log(error.code))
`

/** Starts the agent of this host. Resolves when plugins can ask it. */
export async function startAgent(patchbay: string, directory: string, stateDir: string): Promise<ChildProcess> {
  const config = join(directory, 'agent.json')
  const places = { pluginStateDir: stateDir, confDir: directory, registryDir: join(directory, 'registry') }
  writeFileSync(config, JSON.stringify({ stateDir: join(directory, 'agent'), ...places }))
  const agent = spawn(patchbay, ['agent', '--config', config], { stdio: 'ignore' })
  const deadline = Date.now() + LONGEST_START_MS
  while (!existsSync(DEFAULT_SOCKET)) {
    if (agent.exitCode !== null || Date.now() > deadline) throw new Error('patchbay agent does not start')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return agent
}

/** The addresses that a name has for the container. */
export function resolveIn(container: Namespace, name: string): string {
  return run('nsenter', [
    `--net=${container.path}`,
    process.execPath,
    '--no-warnings',
    '-e',
    LOOKUP,
    name
  ]).stdout.trim()
}
