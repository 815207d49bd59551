/**
 * dhcp gives the container an address of the network that its interface is connected to, from the DHCP server there. The
 * daemon speaks with the server and keeps the lease; the plugin only asks the daemon.
 *
 *     container eth0 ======= network ------- DHCP server
 *         |  packets               plugin --"take", "release"--> daemon
 *         `------------------------------------------------------'
 */

import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { resultFromJson } from '../../lib/cni/result-json.ts'
import { NEWEST_VERSION } from '../../lib/cni/version.ts'
import { type Json, jsonArray, jsonString } from '../../lib/config/json.ts'
import { ConfigError } from '../../lib/config/section.ts'
import { attachmentsToJson, callAbout, callDaemon, type Daemon, isDaemonAway } from '../../lib/daemon/client.ts'
import { noteReleased } from '../../lib/daemon/released.ts'
import { formatPrefix } from '../../lib/ip/prefix.ts'

const DAEMON: Daemon = {
  name: 'the dhcp daemon',
  start: 'start it: patchbay dhcp (systemctl start patchbay-dhcp), or correct ipam.daemonSocketPath'
}
const DEFAULT_SOCKET = '/run/cni/dhcp.sock'
/** Seconds, for a lease: a server may look for other users of the address first. */
const DEFAULT_TIMEOUT = 60
/** Milliseconds, for what needs no server. */
const SHORT = 10_000

/** Members of a call. */
type Members = readonly (readonly [string, Json | undefined])[]

export function dhcp(): Plugin {
  return { name: 'dhcp', since: '0.1.0', givesAddresses: true, add, del, check, gc, status }
}

function add(request: Request): Result {
  const answer = ask(request, 'take', [
    ['netns', jsonString(request.netns)],
    ['ipam', ipamOf(request)],
    ['args', jsonString(request.args.text())]
  ])
  return resultFromJson(answer, NEWEST_VERSION, 'answer of the dhcp daemon')
}

/** A daemon that does not run gives it back when it starts. */
function del(request: Request): void {
  try {
    ask(request, 'release', [])
  } catch (error) {
    if (!(error instanceof Error && isDaemonAway(DAEMON, error))) throw error
    leaveNote(request)
  }
}

/** Where nobody can write, no daemon has left anything either. */
function leaveNote(request: Request): void {
  const { network, containerId, ifName } = request
  try {
    noteReleased(socketOf(request), { network, containerId, ifName })
  } catch {
    // The lease ends by itself: its container is gone, or will be.
  }
}

function check(request: Request): void {
  const ips = (request.prevResult?.ips ?? []).map(ip => jsonString(formatPrefix(ip.address)))
  ask(request, 'check', [['ips', jsonArray(ips)]])
}

function gc(request: Request): void {
  ask(request, 'collect', [['keep', attachmentsToJson(request.validAttachments)]])
}

function status(request: Request): void {
  try {
    ask(request, 'status', [['ipam', ipamOf(request)]])
  } catch (error) {
    if (error instanceof CniError && isDaemonAway(DAEMON, error)) {
      throw new CniError(NOT_AVAILABLE, error.message, error.details)
    }
    throw error
  }
}

/** The daemon judges the rest of it: the same mistakes in the same words, but one reader. */
function ipamOf(request: Request): Json {
  const ipam = request.config.section('ipam')
  if (ipam === undefined) throw new ConfigError(['ipam is required'])
  const socket = ipam.text('daemonSocketPath') ?? ''
  if (socket !== '' && !socket.startsWith('/')) ipam.problem('daemonSocketPath', 'must be an absolute path')
  ipam.integer('timeout', 1, 3600)
  request.config.finish()
  return ipam.value()
}

function socketOf(request: Request): string {
  const socket = request.config.section('ipam')?.text('daemonSocketPath') ?? ''
  return socket.startsWith('/') ? socket : DEFAULT_SOCKET
}

function ask(request: Request, what: string, more: Members): Json {
  const seconds = request.config.section('ipam')?.integer('timeout', 1, 3600) ?? DEFAULT_TIMEOUT
  const milliseconds = what === 'take' ? seconds * 1000 : SHORT
  return callDaemon(DAEMON, { socket: socketOf(request), milliseconds }, callAbout(request, what, more))
}
