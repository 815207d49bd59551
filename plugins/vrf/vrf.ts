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
import { attachContainer, checkContainer, visitContainer } from '../../lib/attach/container.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { ownerMark } from '../../lib/attach/owner.ts'
import { netnsOf, recordAttachment } from '../../lib/attach/single-link.ts'
import { staleEntries } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { type Json, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import type { Section } from '../../lib/config/section.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Undo } from '../../lib/undo.ts'
import { enslave, findVrf, freeTable, isTableOf, release } from './member.ts'

const NAME = 'vrf'

/** Table 0 is none. */
const MAX_TABLE = 4_294_967_295

export function vrf(kernel: Kernel): Plugin {
  return {
    name: NAME,
    since: '0.3.1',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(request)
  }
}

interface VrfConfig {
  readonly vrfName: string
  /** undefined = that of the VRF if it is there, else one that nobody uses */
  readonly table: number | undefined
}

function readConfig(config: Section): VrfConfig {
  const vrfName = config.text('vrfname') ?? ''
  if (!/^[^\s/:\0]{1,15}$/.test(vrfName) || vrfName === '.' || vrfName === '..') {
    config.problem('vrfname', 'must be the name of an interface (1 to 15 characters)')
  }
  const table = config.integer('table', 0, MAX_TABLE)
  return { vrfName, table: table === 0 ? undefined : table }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request.config)
  request.config.finish()
  const result = requiredPrevResult(request)
  return attachContainer(kernel, request, (container, undo) => {
    // Two ADDs for one container would both make the VRF, or take the same table for two of them.
    container.exclusively(() => join(container, request, config, undo))
    return result
  })
}

function join(container: Net, request: Request, config: VrfConfig, undo: Undo): void {
  const link = container.links.get(request.ifName)
  if (link.masterIndex !== undefined) throw hasMaster(container, link)
  const entry = jsonObject([
    ['netns', jsonString(request.netns)],
    ['vrf', jsonString(config.vrfName)]
  ])
  recordAttachment(journalOf(request, NAME), request, entry, undo)
  const master = ensureVrf(container, config, undo)
  enslave(container, link, master, undo)
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

function ensureVrf(container: Net, config: VrfConfig, undo: Undo): Link {
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
  undo.push(`VRF ${name}`, () => removeVrf(container, config.vrfName))
  return container.links.add({ name: config.vrfName, kind: { kind: 'vrf', table }, up: true })
}

function removeVrf(container: Net, name: string): void {
  container.links.remove(name)
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request.config)
  request.config.finish()
  requiredPrevResult(request)
  checkContainer(kernel, request, container => problems(container, request.ifName, config))
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
function del(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const entry = journal.readForRemoval(request.containerId, request.ifName)
  const steps = new Steps('DEL')
  visitContainer(kernel, request.netns, container => {
    // The configuration may have changed since ADD, which wrote down the name.
    const recorded = vrfOf(entry)
    const vrfName = recorded === '' ? (request.config.text('vrfname') ?? '') : recorded
    const mayBeEmpty = entry !== undefined
    steps.attempt(() => container.exclusively(() => release(container, request.ifName, vrfName, mayBeEmpty)))
  })
  if (entry !== undefined) steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

function vrfOf(entry: Json | undefined): string {
  const name = entry === undefined ? undefined : memberOf(entry, 'vrf')
  return name !== undefined && name.type === 'string' ? name.text : ''
}

function gc(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const steps = new Steps('GC')
  for (const { containerId, ifName, entry } of staleEntries(journal, request)) {
    const mark = ownerMark(request.network, containerId, ifName)
    visitContainer(kernel, netnsOf(entry), container =>
      steps.attempt(() => removeAbandoned(container, ifName, mark, vrfOf(entry)))
    )
    steps.attempt(() => journal.remove(containerId, ifName))
  }
  steps.finish()
}

/** The path may lead to another container's namespace by now: only an interface that bears the mark is ours. */
function removeAbandoned(container: Net, ifName: string, mark: string, vrfName: string): void {
  const link = container.links.find(ifName)
  if (link === undefined || link.alias !== mark) return
  container.exclusively(() => release(container, ifName, vrfName, true))
}

/** Whether the kernel knows VRFs shows only when one is made; nothing else can keep an ADD from working. */
function status(request: Request): void {
  readConfig(request.config)
  request.config.finish()
}
