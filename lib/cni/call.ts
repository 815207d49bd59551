/**
 * One call on its way to one plugin: the version gate, the Request, the five functions. The plugin that the runtime
 * started and a delegate in the same process both come through here, so that both see the same.
 */
import type { Attachment } from '../attachment.ts'
import { memberOf } from '../config/json.ts'
import { Section } from '../config/section.ts'
import { placeOfSameFile } from '../sys/file-status.ts'
import { CniArgs } from './args.ts'
import { delegateFor, validAttachmentsKey } from './delegate.ts'
import type { Environment } from './env.ts'
import { CniError, DECODE_FAILURE, INCOMPATIBLE_VERSION, INVALID_NETNS } from './error.ts'
import type { Invocation } from './invocation.ts'
import type { Command, Plugin, Request } from './plugin.ts'
import type { Result } from './result.ts'
import { resultFromJson } from './result-json.ts'
import { isAtLeast, isSpokenSince, isVersion, versionsSince } from './version.ts'

/**
 * Calls the plugin's function for `command`.
 * @returns the result of ADD, undefined for the other verbs
 */
export function dispatch(plugin: Plugin, call: Invocation, command: Command): Result | undefined {
  checkVersion(plugin, call, command)
  if (command === 'GC' && validAttachmentsKey(call.config) === '') {
    call.io.stderr(
      `${plugin.name}: GC without cni.dev/valid-attachments removes nothing: it would not know what still lives\n`
    )
    return undefined
  }
  const request = requestOf(call, command)
  if (command === 'ADD') return plugin.add(request)
  if (command === 'DEL') plugin.del(request)
  if (command === 'CHECK') plugin.check(request)
  if (command === 'GC') plugin.gc(request)
  if (command === 'STATUS') plugin.status(request)
  return undefined
}

/** The oldest version that has the verb. */
function verbSince(command: Command): string {
  if (command === 'CHECK') return '0.4.0'
  return command === 'GC' || command === 'STATUS' ? '1.1.0' : '0.1.0'
}

function checkVersion(plugin: Plugin, call: Invocation, command: Command): void {
  const version = call.cniVersion
  const since = verbSince(command)
  if (since !== '0.1.0') {
    if (!isVersion(version)) {
      throw new CniError(DECODE_FAILURE, `read configuration: cniVersion ${JSON.stringify(version)} is no version`)
    }
    if (!isAtLeast(version, since)) {
      const message = `incompatible CNI versions: ${command} needs cniVersion ${since}, the configuration has ${version}`
      throw new CniError(
        INCOMPATIBLE_VERSION,
        message,
        `set cniVersion to ${since} or newer, or do not call ${command}`
      )
    }
  }
  if (!isSpokenSince(version, plugin.since)) {
    const supported = versionsSince(plugin.since)
    const message = `incompatible CNI versions: ${plugin.name} does not support cniVersion ${JSON.stringify(version)}`
    const details = `config is ${JSON.stringify(version)}, plugin supports ${JSON.stringify(supported)}`
    throw new CniError(INCOMPATIBLE_VERSION, message, details)
  }
}

function requestOf(call: Invocation, command: Command): Request {
  const environment = call.environment
  const attached = command === 'ADD' || command === 'DEL' || command === 'CHECK'
  const netns = attached ? netnsFor(environment, command) : ''
  return {
    command,
    containerId: attached ? environment.containerId : '',
    netns,
    ifName: attached ? environment.ifName : '',
    network: call.network,
    cniVersion: call.cniVersion,
    args: new CniArgs(attached ? environment.args : ''),
    config: new Section(call.config),
    prevResult: attached ? prevResultOf(call, command) : undefined,
    validAttachments: command === 'GC' ? validAttachmentsOf(call) : [],
    ipam: delegateFor(attached ? judged(call, netns) : call, command, dispatch)
  }
}

/** The same call for a delegate in this process, which need not look at the namespace again. */
function judged(call: Invocation, netns: string): Invocation {
  return { ...call, environment: { ...call.environment, netns, allowOwnNetns: true } }
}

/**
 * An ADD into a namespace of the host would configure it as if it were a container. To a DEL that namespace is none: the
 * container's is gone and its path leads elsewhere by now, as that of a process does whose number is another's; what follows
 * from the attachment's names is removed all the same. A namespace that cannot be looked at is left to the plugin.
 */
function netnsFor(environment: Environment, command: Command): string {
  const { netns } = environment
  if (command === 'CHECK' || netns === '' || environment.allowOwnNetns) return netns
  if (command === 'DEL') return placeOfSameFile(netns, OWN_NETNS) === 0 ? '' : netns
  const place = placeOfSameFile(netns, [...OWN_NETNS, '/proc/1/ns/net'])
  if (place < 0) return netns
  // The other one where the plugin runs elsewhere: rootless, or in a test.
  const whose = place === 0 ? 'the plugin itself' : "the machine's first process"
  const message = `check CNI_NETNS: ${JSON.stringify(netns)} is the network namespace of ${whose}`
  throw new CniError(INVALID_NETNS, message, 'name the namespace of the container, or set CNI_NETNS_OVERRIDE=1')
}

const OWN_NETNS: readonly string[] = ['/proc/self/ns/net']

function prevResultOf(call: Invocation, command: Command): Result | undefined {
  const json = memberOf(call.config, 'prevResult')
  if (json === undefined || json.type === 'null') return undefined
  try {
    return resultFromJson(json, call.cniVersion, 'prevResult')
  } catch (error) {
    // A damaged cache of the runtime must not keep a container from being removed: DEL does without.
    if (command !== 'DEL') throw error
    call.io.stderr(`ignore prevResult: ${error instanceof Error ? error.message : 'unreadable'}\n`)
    return undefined
  }
}

/** What GC must keep. A null is Go's way of writing an empty list. */
function validAttachmentsOf(call: Invocation): readonly Attachment[] {
  const { config, network } = call
  const key = validAttachmentsKey(config)
  const section = new Section(config)
  const attachments: Attachment[] = []
  for (const one of section.sections(key)) {
    const containerId = one.text('containerID')
    const ifName = one.text('ifname')
    if (containerId === undefined) one.problem('containerID', 'must be a string')
    if (ifName === undefined) one.problem('ifname', 'must be a string')
    attachments.push({ network, containerId: containerId ?? '', ifName: ifName ?? '' })
  }
  section.finish()
  return attachments
}
