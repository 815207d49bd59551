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
import { isOwnNamespace } from '../../lib/attach/attachment.ts'
import { nothing } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin } from '../../lib/attach/chained-plugin.ts'
import { directoryOf } from '../../lib/attach/journal.ts'
import { isRecordedNetns } from '../../lib/attach/recorded-netns.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Interface, Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link, LinkChange } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { NoRecords, type Records } from '../../lib/state/records.ts'
import { SavedFiles } from '../../lib/state/saved.ts'
import { errnoOf, messageOf } from '../../lib/sys/errors.ts'
import { ALLOWLIST, checkAllowed } from './allowlist.ts'
import { readConfig } from './config.ts'
import { attributesBefore, differingFrom, indexIn, restoringChanges, savedToJson } from './saved.ts'
import { holdsValue, type Sysctl } from './sysctl.ts'

/** @param allowlist for tests */
export function tuning(kernel: Kernel, allowlist = ALLOWLIST): Plugin {
  return chainedPlugin(kernel, {
    name: 'tuning',
    since: '0.1.0',
    isExclusive: false,
    records: savedFiles,
    add: session => add(session, allowlist),
    check,
    remove: restoreLink,
    collectStrays: nothing,
    status: session => status(session, allowlist)
  })
}

const DATA_DIR = '/run/cni/tuning'

/** Where the reference plugin finds it, too. */
function savedFiles(request: Request): Records {
  const directory = directoryOf(request, 'dataDir', DATA_DIR)
  return directory === undefined ? new NoRecords() : new SavedFiles(directory, request.network)
}

function add(session: Session, allowlist: string): Result {
  const { request } = session
  const { sysctls, link } = readConfig(request)
  request.config.finish()
  const result = requiredPrevResult(request)
  checkAllowed(sysctls, allowlist)
  for (const sysctl of sysctls) writeSysctl(session, sysctl)
  if (link === undefined) return result
  changeLink(session, link)
  return resultAfter(result, request, link)
}

function writeSysctl(session: Session, sysctl: Sysctl): void {
  const container = session.container()
  const before = readableSysctl(container, sysctl.path)
  if (before !== undefined) {
    // Pushed first: of a list the kernel may have set the first numbers when it refuses a later one.
    session.undo.push(`sysctl ${JSON.stringify(sysctl.key)}`, () => restoreSysctl(container, sysctl.path, before))
  }
  try {
    container.sysctls.write(sysctl.path, sysctl.value)
  } catch (error) {
    throw refusedSysctl(error, sysctl)
  }
}

/** What was refused is as it was before, and putting it back would be refused as well. */
function restoreSysctl(container: Net, path: string, before: string): void {
  if (container.sysctls.read(path) !== before) container.sysctls.write(path, before)
}

/** What the kernel says of a sysctl or value that it does not have, or that is not the namespace's. */
const SYSCTL_ADVICE: ReadonlyMap<string, string> = sysctlAdvice()

function sysctlAdvice(): ReadonlyMap<string, string> {
  const advice = new Map<string, string>()
  advice.set('ENOENT', 'leave it out: the namespaces of this kernel have none of that name')
  advice.set('EACCES', 'set it on the host: it is one of the whole machine')
  advice.set('EPERM', 'set it on the host: it is one of the whole machine')
  for (const errno of ['EINVAL', 'ERANGE', 'EDOM']) advice.set(errno, 'correct the value')
  return advice
}

function refusedSysctl(error: unknown, { key, value }: Sysctl): Error {
  const errno = errnoOf(error)
  const details = SYSCTL_ADVICE.get(errno)
  if (details === undefined) return error instanceof Error ? error : new Error(messageOf(error))
  return new CniError(
    INVALID_CONFIG,
    `set sysctl ${JSON.stringify(key)} to ${JSON.stringify(value)}: ${errno}`,
    details
  )
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

function changeLink(session: Session, change: LinkChange): void {
  const container = session.container()
  const link = container.links.get(session.request.ifName)
  const before = attributesBefore(link, change)
  session.record(savedToJson(session, before, link.index))
  // Pushed first: the kernel may refuse the second attribute of a request after it has set the first.
  session.undo.push(`link ${JSON.stringify(link.name)}`, () => takeBack(container, link.index, before))
  container.links.set(link.index, change)
}

/** What was refused is as it was before, and putting it back would be refused as well. */
function takeBack(container: Net, index: number, before: LinkChange): void {
  const link = container.links.findByIndex(index)
  const change = link === undefined ? undefined : differingFrom(link, before)
  if (change !== undefined) container.links.set(index, change)
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

function check(session: Session): readonly string[] {
  const { request } = session
  const { sysctls, link } = readConfig(request)
  request.config.finish()
  requiredPrevResult(request)
  if (sysctls.length === 0 && link === undefined) return []
  const problems = sysctlProblems(session.container(), sysctls)
  return link === undefined ? problems : problems.concat(linkProblems(session.container(), request, link))
}

function sysctlProblems(container: Net, sysctls: readonly Sysctl[]): readonly string[] {
  const problems: string[] = []
  for (const { key, path, value } of sysctls) {
    const present = readableSysctl(container, path)
    if (present === undefined || holdsValue(present, value)) continue
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
function restoreLink(session: Session, entry: Json | undefined): void {
  const container = entry === undefined ? undefined : session.findContainer(entry)
  if (container === undefined || entry === undefined) return
  const link = tunedLink(session, container, entry)
  if (link === undefined) return
  for (const change of restoringChanges(entry)) session.attempt(() => restore(container, link, change))
}

/** The link whose attributes were saved, whatever the container calls it by now. What the reference saved tells no more than its name. */
function tunedLink(session: Session, container: Net, entry: Json): Link | undefined {
  const index = indexIn(entry)
  if (index !== undefined) return isRecordedNetns(container, entry) ? container.links.findByIndex(index) : undefined
  return isOwnNamespace(session, container, entry) ? container.links.find(session.request.ifName) : undefined
}

/**
 * What the link cannot have any more is left: its container may have put it on another one, and must not keep itself from
 * being removed.
 */
const IMPOSSIBLE: readonly string[] = ['ENODEV', 'EINVAL', 'ERANGE', 'EOPNOTSUPP', 'EADDRNOTAVAIL', 'EBUSY']

function restore(container: Net, link: Link, change: LinkChange): void {
  try {
    container.links.set(link.index, change)
  } catch (error) {
    const errno = errnoOf(error)
    if (!IMPOSSIBLE.some(one => one === errno)) throw error
  }
}

/** An ADD needs a configuration that the allow-list lets through. */
function status(session: Session, allowlist: string): void {
  const { request } = session
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
