/**
 * `patchbay uninstall`: takes away what `install` has put on this host, and puts back what that replaced. What somebody has changed
 * since is theirs, and stays.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CARRIER_FILE } from '../agent/encryption/carrier.ts'
import { jsonObject, jsonString } from '../lib/config/json.ts'
import { askAgent, DEFAULT_SOCKET, isAgentAway } from '../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR, journalEntries, recordedNetworks } from '../lib/state/journal.ts'
import { listDirectory } from '../lib/sys/files.ts'
import { unpinNetns } from '../lib/sys/pinned-netns.ts'
import { agentUnits, UNIT_DIR } from './agent-units.ts'
import type { Call } from './call.ts'
import { commandPath, syncDirectory } from './install.ts'
import { runtimeNamed } from './install-network.ts'
import { isSameProgram, KEPT, keptPath, MULTI_CALL, planConfig } from './install-plan.ts'
import { adviceFor, CommandError, jsonLine, type Output } from './output.ts'
import { RUNTIMES, type RuntimeTarget, withNames } from './runtime-config.ts'

/** What `--purge` takes along: state of attachments, keys and registry, the agent's configuration. */
const OWN_DIRECTORIES: readonly string[] = [DEFAULT_STATE_DIR, '/var/lib/patchbay', '/etc/patchbay']
/** The networks that `network create` and the agent have written. */
const OWN_NETWORKS = /^patchbay-.*\.conflist$/
const MOST_NAMED = 5

interface Removal {
  readonly path: string
  /** `restore`: what was there before takes its place. */
  readonly action: 'remove' | 'restore' | 'leave'
  /** Why it is left. */
  readonly why?: string
}

/** `uninstall [DIR] [--purge] …` */
export async function uninstall(call: Call): Promise<number> {
  const { output } = call
  const isDry = call.has('dry-run')
  const plan = planOf(call)
  if (!isDry) {
    refuseWhileUsed(call.has('force'))
    carryOut(plan)
  }
  if (call.asJson) output.out(jsonLine({ dryRun: isDry, steps: plan }))
  else report(output, plan, isDry)
  return 0
}

function planOf(call: Call): readonly Removal[] {
  const named = call.text('runtime')
  const runtimes = named === undefined ? RUNTIMES : [runtimeNamed(named)]
  const given = call.words[0]
  const directories = given === undefined ? runtimes.map(one => one.binDir) : [resolve(given)]
  const confDir = call.text('conf-dir')
  const confDirs = new Set(confDir === undefined ? runtimes.map(one => one.confDir) : [resolve(confDir)])
  const units = agentUnits(commandPath()).map(({ name, text }) =>
    planText(join(resolve(call.text('unit-dir') ?? UNIT_DIR), name), text)
  )
  return [
    // Networks first: a runtime that finds one must find its plugins.
    ...[...confDirs].flatMap(directory => runtimes.flatMap(runtime => planNetwork(directory, runtime))),
    ...(call.has('purge') ? [...confDirs].flatMap(planOwnNetworks) : []),
    ...[...new Set(directories)].flatMap(planPrograms),
    ...units.flat(),
    ...(call.has('purge') ? OWN_DIRECTORIES.filter(existsSync).map(removal) : [])
  ]
}

function planNetwork(directory: string, { fileName, config }: RuntimeTarget): readonly Removal[] {
  const path = join(directory, fileName)
  if (!existsSync(path)) return []
  const isOurs = [config, withNames(config)].some(one => planConfig(path, one).action === 'leave')
  if (isOurs) return [removal(path)]
  // Somebody else's from the beginning, unless there is something that it took the place of.
  return existsSync(keptPath(path))
    ? [{ path, action: 'leave', why: `it was changed; the former one: ${keptPath(path)}` }]
    : []
}

function planOwnNetworks(directory: string): readonly Removal[] {
  return listDirectory(directory)
    .filter(name => OWN_NETWORKS.test(name))
    .sort()
    .map(name => removal(join(directory, name)))
}

/** Every name of the program, of this version's plugins or of another one's; the program itself comes last. */
function planPrograms(directory: string): readonly Removal[] {
  const own = join(directory, MULTI_CALL)
  if (!existsSync(own)) return []
  const names = readdirSync(directory).sort()
  const ours = names.filter(name => name !== MULTI_CALL && isSameProgram(own, join(directory, name)))
  const lost = listDirectory(join(directory, KEPT)).filter(name => !ours.includes(name))
  return [
    ...ours.map(name => removal(join(directory, name))),
    ...lost.map(name => planLost(join(directory, name))),
    removal(own)
  ]
}

/** What was replaced by a file that is not ours any more. */
function planLost(path: string): Removal {
  return existsSync(path)
    ? { path, action: 'leave', why: `somebody else's; the former one: ${keptPath(path)}` }
    : { path, action: 'restore' }
}

function planText(path: string, text: string): readonly Removal[] {
  if (!existsSync(path)) return []
  if (readFileSync(path, 'utf8') === text) return [removal(path)]
  return [{ path, action: 'leave', why: 'it was changed, or another version wrote it' }]
}

function removal(path: string): Removal {
  return { path, action: existsSync(keptPath(path)) ? 'restore' : 'remove' }
}

/** Without the plugins nothing can be detached, and an agent writes its files again. */
function refuseWhileUsed(isForced: boolean): void {
  if (isForced) return
  const attachments = recordedNetworks(undefined).flatMap(network => journalEntries(undefined, network))
  const names = [...new Set(attachments.map(({ attachment: { network, containerId } }) => `${network}/${containerId}`))]
  if (names.length > 0) {
    const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
    throw new CommandError(
      `uninstall: still attached, and detached by these plugins alone: ${names.slice(0, MOST_NAMED).join(', ')}${more}`,
      'end these containers (what is left of dead ones: patchbay gc NETWORK); --force leaves their interfaces, rules and addresses behind'
    )
  }
  if (!isAgentThere()) return
  throw new CommandError(
    'uninstall: patchbay agent runs',
    'stop it: systemctl disable --now patchbay-agent.socket patchbay-agent.service'
  )
}

function isAgentThere(): boolean {
  if (!existsSync(DEFAULT_SOCKET)) return false
  try {
    askAgent({ socket: DEFAULT_SOCKET, milliseconds: 1000 }, jsonObject([['do', jsonString('status')]]))
    return true
  } catch (error) {
    return !(error instanceof Error && isAgentAway(error))
  }
}

function carryOut(plan: readonly Removal[]): void {
  const done = plan.filter(({ action }) => action !== 'leave')
  // It may be mounted there still.
  if (done.some(({ path }) => path === DEFAULT_STATE_DIR)) unpinNetns(join(DEFAULT_STATE_DIR, 'agent', CARRIER_FILE))
  for (const { path, action } of done) {
    try {
      if (action === 'restore') renameSync(keptPath(path), path)
      else rmSync(path, { recursive: OWN_DIRECTORIES.includes(path), force: true })
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      throw new CommandError(
        `${action} ${JSON.stringify(path)}: ${cause}`,
        adviceFor(error, 'what was done so far stays done')
      )
    }
  }
  for (const directory of new Set(done.map(({ path }) => dirname(path)))) {
    const kept = join(directory, KEPT)
    if (existsSync(kept) && readdirSync(kept).length === 0) rmdirSync(kept)
    syncDirectory(directory)
  }
}

function report(output: Output, plan: readonly Removal[], isDry: boolean): void {
  const words: Readonly<Record<Removal['action'], string>> = isDry
    ? { remove: 'would remove ', restore: 'would restore', leave: 'would leave  ' }
    : { remove: 'removed ', restore: 'restored', leave: 'left    ' }
  for (const { path, action, why } of plan)
    output.out(`${words[action]} ${path}${why === undefined ? '' : `: ${why}`}\n`)
  if (plan.length === 0) output.out('nothing of patchbay install is here\n')
}
