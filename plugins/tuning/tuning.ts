/**
 * Changes an interface that another plugin of the chain has made, and sysctls of its namespace.
 *
 *     host                     container
 *                              +------------------------------------+
 *     /run/cni/tuning/         | eth0  mac, mtu, promisc, allmulti,  |
 *       <id>_eth0.json  <----  |       txQLen                        |
 *       (what it had before)   | /proc/sys/net/...                   |
 *                              +------------------------------------+
 *
 * Without anything to tune (nerdctl's default chain ends like that) it hands the result on and touches nothing.
 */
import { refuseChanges } from '../../lib/attach/interface.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Interface, Result } from '../../lib/cni/result.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { LinkChange } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { SavedFiles } from '../../lib/state/saved.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { Undo } from '../../lib/undo.ts'
import { ALLOWLIST, checkAllowed } from './allowlist.ts'
import { dataDirectory, readConfig } from './config.ts'
import { attributesBefore, isStale, restoringChanges, savedToJson } from './saved.ts'
import { isSameValue, type Sysctl } from './sysctl.ts'

/** @param allowlist for tests */
export function tuning(kernel: Kernel, allowlist = ALLOWLIST): Plugin {
  return {
    name: 'tuning',
    since: '0.1.0',
    add: request => add(kernel, request, allowlist),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc,
    status: request => status(request, allowlist)
  }
}

function add(kernel: Kernel, request: Request, allowlist: string): Result {
  const { sysctls, link } = readConfig(request)
  request.config.finish()
  const result = requiredPrevResult(request)
  checkAllowed(sysctls, allowlist)
  if (sysctls.length === 0 && link === undefined) return result
  const container = kernel.open(request.netns)
  const undo = new Undo()
  try {
    for (const sysctl of sysctls) writeSysctl(container, sysctl, undo)
    if (link !== undefined) changeLink(container, request, link, undo)
    return link === undefined ? result : resultAfter(result, request, link)
  } catch (error) {
    throw error instanceof Error ? undo.rollback(error) : error
  } finally {
    container.close()
  }
}

function writeSysctl(container: Net, sysctl: Sysctl, undo: Undo): void {
  const before = readableSysctl(container, sysctl.path)
  if (before !== undefined) {
    undo.push(`sysctl ${JSON.stringify(sysctl.key)}`, () => container.sysctls.write(sysctl.path, before))
  }
  container.sysctls.write(sysctl.path, sysctl.value)
}

/** undefined for those that are only to be written, such as `net.ipv4.route.flush`: there is nothing to put back. */
function readableSysctl(container: Net, path: string): string | undefined {
  try {
    return container.sysctls.read(path)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EACCES' || errno === 'EPERM') return undefined
    throw error
  }
}

function changeLink(container: Net, request: Request, change: LinkChange, undo: Undo): void {
  const link = container.links.get(request.ifName)
  const before = attributesBefore(link, change)
  save(before, request, undo)
  // Pushed first: the kernel may refuse the second attribute of a request after it has set the first.
  undo.push(`link ${JSON.stringify(link.name)}`, () => container.links.set(link.index, before))
  container.links.set(link.index, change)
}

function save(before: LinkChange, request: Request, undo: Undo): void {
  const { containerId, ifName } = request
  const files = new SavedFiles(dataDirectory(request.config))
  const earlier = files.read(containerId, ifName)
  files.write(containerId, ifName, savedToJson(before, request))
  undo.push('saved attributes', () => {
    if (earlier === undefined) files.remove(containerId, ifName)
    else files.write(containerId, ifName, earlier)
  })
}

function resultAfter(result: Result, request: Request, change: LinkChange): Result {
  return { ...result, interfaces: result.interfaces.map(one => interfaceAfter(one, request, change)) }
}

function interfaceAfter(one: Interface, request: Request, change: LinkChange): Interface {
  if (one.name !== request.ifName || (one.sandbox ?? '') === '') return one
  return {
    name: one.name,
    mac: change.mac === undefined ? one.mac : formatMac(change.mac),
    mtu: change.mtu ?? one.mtu,
    sandbox: one.sandbox,
    socketPath: one.socketPath,
    pciID: one.pciID
  }
}

function check(kernel: Kernel, request: Request): void {
  const { sysctls, link } = readConfig(request)
  request.config.finish()
  requiredPrevResult(request)
  if (sysctls.length === 0 && link === undefined) return
  const container = kernel.open(request.netns)
  try {
    const problems = sysctlProblems(container, sysctls)
    refuseChanges(request, link === undefined ? problems : problems.concat(linkProblems(container, request, link)))
  } finally {
    container.close()
  }
}

function sysctlProblems(container: Net, sysctls: readonly Sysctl[]): readonly string[] {
  const problems: string[] = []
  for (const { key, path, value } of sysctls) {
    const present = readableSysctl(container, path)
    if (present === undefined || isSameValue(present, value)) continue
    problems.push(`sysctl ${JSON.stringify(key)} is ${JSON.stringify(present)}, not ${JSON.stringify(value)}`)
  }
  return problems
}

function linkProblems(container: Net, request: Request, wanted: LinkChange): readonly string[] {
  const name = JSON.stringify(request.ifName)
  const link = container.links.find(request.ifName)
  if (link === undefined) return [`link ${name} is missing`]
  const problems: string[] = []
  const mac = link.mac === undefined ? 'none' : formatMac(link.mac)
  if (wanted.mac !== undefined && mac !== formatMac(wanted.mac)) {
    problems.push(`link ${name} has MAC ${mac}, not ${formatMac(wanted.mac)}`)
  }
  if (wanted.mtu !== undefined && link.mtu !== wanted.mtu) {
    problems.push(`link ${name} has MTU ${String(link.mtu)}, not ${String(wanted.mtu)}`)
  }
  if (wanted.promiscuous === true && !link.isPromiscuous) problems.push(`link ${name} is not promiscuous`)
  if (wanted.allMulticast !== undefined && link.isAllMulticast !== wanted.allMulticast) {
    problems.push(`link ${name} ${wanted.allMulticast ? 'does not receive' : 'receives'} all multicast`)
  }
  if (wanted.txQueueLength !== undefined && link.txQueueLength !== wanted.txQueueLength) {
    problems.push(
      `link ${name} has a queue of ${String(link.txQueueLength)} packets, not ${String(wanted.txQueueLength)}`
    )
  }
  return problems
}

/** With nothing saved there is nothing to restore, and the namespace is not even looked at. */
function del(kernel: Kernel, request: Request): void {
  const files = new SavedFiles(dataDirectory(request.config))
  const saved = files.readForRemoval(request.containerId, request.ifName)
  if (saved === undefined) return
  const steps = new Steps(request.command)
  const container = request.netns === '' ? undefined : kernel.find(request.netns)
  if (container !== undefined) {
    for (const change of restoringChanges(saved)) steps.attempt(() => restore(container, request.ifName, change))
    container.close()
  }
  // Kept while something is left to be restored, for the runtime's next try.
  steps.finish()
  files.remove(request.containerId, request.ifName)
}

function restore(container: Net, ifName: string, change: LinkChange): void {
  const link = container.links.find(ifName)
  if (link === undefined) return
  try {
    container.links.set(link.index, change)
  } catch (error) {
    // Gone in between, and its attributes with it.
    if (errnoOf(error) !== 'ENODEV') throw error
  }
}

/** The interface of an attachment that is gone went with its container; what was saved of it is left. */
function gc(request: Request): void {
  const files = new SavedFiles(dataDirectory(request.config))
  for (const file of files.list()) if (isStale(file, request)) files.removeNamed(file.name)
}

/** An ADD needs a configuration that the allow-list lets through. */
function status(request: Request, allowlist: string): void {
  const { sysctls } = readConfig(request)
  request.config.finish()
  try {
    checkAllowed(sysctls, allowlist)
  } catch (error) {
    if (error instanceof Error && error instanceof CniError)
      throw new CniError(NOT_AVAILABLE, error.message, error.details)
    throw error
  }
}
