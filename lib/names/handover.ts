/**
 * How a plugin gives a container's resolver to the agent without waiting for it: it makes the sockets itself and hands them over.
 * A question that comes before the agent has them waits in them.
 *
 *     <stateDir>/.names/handover              where they are handed over, while an agent runs that has this stateDir
 *     <stateDir>/.names/waiting/<network>     on this network more than a resolver has to be there: the agent is waited for
 */
import type { Attachment } from '../attachment.ts'
import { jsonObject, jsonString, jsonText, memberOf, parseJson } from '../config/json.ts'

/** Networks have no names with a dot in front. */
const DIRECTORY = '.names'

export function handoverPath(stateDir: string): string {
  return `${stateDir}/${DIRECTORY}/handover`
}

export function waitingDirectory(stateDir: string): string {
  return `${stateDir}/${DIRECTORY}/waiting`
}

/** A container whose resolver's sockets are handed over. */
export interface HandedOver extends Attachment {
  readonly netns: string
  /** Of the namespace, as a record has it. */
  readonly netnsId: string
}

export function handoverToBytes(one: HandedOver): Uint8Array {
  const members = jsonObject([
    ['network', jsonString(one.network)],
    ['containerId', jsonString(one.containerId)],
    ['ifName', jsonString(one.ifName)],
    ['netns', jsonString(one.netns)],
    ['netnsId', jsonString(one.netnsId)]
  ])
  return new TextEncoder().encode(jsonText(members))
}

/** @returns undefined for what is none */
export function handoverFromBytes(bytes: Uint8Array): HandedOver | undefined {
  try {
    const json = parseJson(new TextDecoder().decode(bytes))
    const [network = '', containerId = '', ifName = '', netns = '', netnsId = ''] = [
      'network',
      'containerId',
      'ifName',
      'netns',
      'netnsId'
    ].map(key => memberOf(json, key)?.text ?? '')
    if ([network, containerId, ifName, netns, netnsId].includes('')) return undefined
    return { network, containerId, ifName, netns, netnsId }
  } catch {
    return undefined
  }
}
