/**
 * Puts an interface of the container into a VRF: a routing table of its own, so that two networks with the same addresses
 * can be attached to one container.
 *
 *     container
 *     +-----------------------------------------------+
 *     | vrf "blue" (table 1) --- net1  10.0.0.5/24     |
 *     |                     '--- net2  192.168.0.5/24  |
 *     | main table ------------- eth0  10.0.0.7/24     |
 *     +-----------------------------------------------+
 */
import { isOwnNamespace, withNetns } from '../../lib/attach/attachment.ts'
import { inJournal, nothing } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin } from '../../lib/attach/chained-plugin.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { type Json, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import type { Section } from '../../lib/config/section.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { enslave, findVrf, freeTable, isTableOf, release } from './member.ts'

/** Table 0 is none. */
const MAX_TABLE = 4_294_967_295

export function vrf(kernel: Kernel): Plugin {
  return chainedPlugin(kernel, {
    name: 'vrf',
    since: '0.3.1',
    isExclusive: false,
    records: inJournal,
    add,
    check,
    remove,
    collectStrays: nothing,
    status
  })
}

interface VrfConfig {
  readonly vrfName: string
  /** undefined = that of the VRF if it is there, else one that nobody uses */
  readonly table: number | undefined
}

/** @throws {ConfigError} naming every key that is wrong */
function readConfig(config: Section): VrfConfig {
  const vrfName = config.text('vrfname') ?? ''
  if (!/^[^\s/:\0]{1,15}$/.test(vrfName) || vrfName === '.' || vrfName === '..') {
    config.problem('vrfname', 'must be the name of an interface (1 to 15 characters)')
  }
  const table = config.integer('table', 0, MAX_TABLE)
  config.finish()
  return { vrfName, table: table === 0 ? undefined : table }
}

function add(session: Session): Result {
  const config = readConfig(session.request.config)
  const result = requiredPrevResult(session.request)
  // Two ADDs for one container would both make the VRF, or take the same table for two of them.
  session.container().withLock(() => join(session, config))
  return result
}

function join(session: Session, config: VrfConfig): void {
  const container = session.container()
  const link = container.links.get(session.request.ifName)
  if (link.masterIndex !== undefined) throw hasMaster(container, link)
  session.record(withNetns(session, jsonObject([['vrf', jsonString(config.vrfName)]])))
  const master = ensureVrf(session, config)
  enslave(session, link, master)
}

function hasMaster(container: Net, link: Link): CniError {
  const master = container.links.findByIndex(link.masterIndex ?? 0)
  const name = JSON.stringify(master?.name ?? '?')
  return new CniError(
    INVALID_CONFIG,
    `add ${JSON.stringify(link.name)} to a VRF: it belongs to ${name}`,
    'an interface can have one master: DEL the attachment that gave it this one'
  )
}

function ensureVrf(session: Session, config: VrfConfig): Link {
  const container = session.container()
  const name = JSON.stringify(config.vrfName)
  const present = findVrf(container, config.vrfName)
  if (present !== undefined) {
    if (config.table !== undefined && !isTableOf(present, config.table)) {
      const message = `use VRF ${name}: it has another table than ${String(config.table)}`
      throw new CniError(INVALID_CONFIG, message, 'configure the same table for all interfaces of a VRF, or none')
    }
    return present
  }
  const table = config.table ?? freeTable(container)
  const made = container.links.add({ name: config.vrfName, kind: { kind: 'vrf', table }, up: true })
  session.undo.push(`VRF ${name}`, () => container.links.removeByIndex(made.index))
  return made
}

function check(session: Session): readonly string[] {
  const config = readConfig(session.request.config)
  requiredPrevResult(session.request)
  return problems(session.container(), session.request.ifName, config)
}

function problems(container: Net, ifName: string, config: VrfConfig): readonly string[] {
  const name = JSON.stringify(config.vrfName)
  const master = findVrf(container, config.vrfName)
  if (master === undefined) return [`VRF ${name} is missing`]
  const found: string[] = []
  if (!master.isUp) found.push(`VRF ${name} is down`)
  if (config.table !== undefined && !isTableOf(master, config.table)) {
    found.push(`VRF ${name} has another table than ${String(config.table)}`)
  }
  const link = container.links.find(ifName)
  if (link === undefined) found.push(`link ${JSON.stringify(ifName)} is missing`)
  else if (link.masterIndex !== master.index) found.push(`link ${JSON.stringify(ifName)} is not in VRF ${name}`)
  return found
}

/** Everything is in the namespace, and goes with it. */
function remove(session: Session, entry: Json | undefined): void {
  const container = session.findContainer(entry)
  if (container === undefined || !isOwnNamespace(session, container, entry)) return
  // The configuration may have changed since ADD, which wrote down the name.
  const recorded = vrfOf(entry)
  const vrfName = recorded === '' ? (session.request.config.text('vrfname') ?? '') : recorded
  const { ifName } = session.request
  container.withLock(() => release(container, ifName, vrfName, entry !== undefined))
}

function vrfOf(entry: Json | undefined): string {
  const name = entry === undefined ? undefined : memberOf(entry, 'vrf')
  return name !== undefined && name.type === 'string' ? name.text : ''
}

/** Whether the kernel knows VRFs shows only when one is made; nothing else can keep an ADD from working. */
function status(session: Session): void {
  readConfig(session.request.config)
}
