/** Networks that are to be encrypted, and what keeps hosts apart: no WireGuard in the kernel, keys that are not believed. */
import { type Json, jsonObject, jsonString, memberOf } from '../../../lib/config/json.ts'
import { askAgent } from '../../../lib/overlay/agent-call.ts'
import { textOf } from '../../../lib/overlay/tunnel-json.ts'
import type { Network } from '../../../lib/runtime/network.ts'
import type { Check, Finding } from '../finding.ts'
import { tryKind } from './kernel-options.ts'

const PATIENCE_MS = 3000

export const encryption: Check = {
  name: 'encryption',
  title: 'hosts of encrypted networks believe each other',
  find: ({ networks, places }) => {
    const names = encryptedNames(networks)
    if (names.length === 0) return []
    const lacking = tryKind('wireguard')
    if (lacking === '') return refusedBy(places.agentSocket)
    return [
      {
        severity: 'error',
        what: `the kernel has no WireGuard: no container can be attached to ${names.join(', ')}`,
        evidence: [lacking],
        remedy: 'modprobe wireguard (Linux 5.6 or newer); where there is no such module, another kernel'
      }
    ]
  }
}

export function encryptedNames(networks: readonly Pick<Network, 'name' | 'plugins'>[]): readonly string[] {
  const isEncrypted = (plugin: Json): boolean => {
    const json = memberOf(plugin, 'encrypted')
    return json !== undefined && (json.type === 'object' || json.text === 'true')
  }
  return networks.filter(({ plugins }) => plugins.some(isEncrypted)).map(one => one.name)
}

/** An agent that is away is the check "agent"'s to tell. */
export function refusedBy(socket: string): readonly Finding[] {
  try {
    const answer = askAgent({ socket, milliseconds: PATIENCE_MS }, jsonObject([['do', jsonString('host-keys')]]))
    const hosts = memberOf(answer, 'hosts')?.items ?? []
    return hosts
      .filter(one => textOf(one, 'refused') !== '')
      .map(one => ({
        severity: 'error',
        what: `host ${JSON.stringify(textOf(one, 'host'))} is kept out of encrypted networks: nothing is sent to it`,
        evidence: [`it ${textOf(one, 'refused')}`],
        remedy: 'patchbay agent trust lists hosts and keys; compare them with what the same command shows on that host'
      }))
  } catch {
    return []
  }
}
